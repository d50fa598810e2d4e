package local

import (
	"cmp"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// admit lets a job log to us, unless the stage says where it logs to. A job that logs
// nothing must not fail for want of it, so that trouble is told in the log of the service,
// and by the client to those who use it.
func (d Driver) admit(f folder, job target.Job) *tracking.Access {
	if d.Tracking == nil || !tracking.Free(job) {
		return nil
	}
	return d.Tracking.Admit(string(f))
}

// nearby keeps a proxy, which a stage may name, out of what goes to this computer.
func nearby(env map[string]string) {
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"} {
		if env[name] == "" {
			continue
		}
		but := strings.Trim(cmp.Or(env["no_proxy"], env["NO_PROXY"])+",127.0.0.1", ",")
		env["no_proxy"], env["NO_PROXY"] = but, but
		return
	}
}
