package jobdir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// leaveSecrets writes the secrets of the process for process.sh, in place of
// what a start that died has left.
func (p Process) leaveSecrets(dir string) error {
	if len(p.Secrets) == 0 {
		return dropSecrets(dir)
	}
	return os.WriteFile(filepath.Join(dir, secretsFile), p.Confided(), 0o600)
}

// Confided returns the shell function secrets, which gives the process its Secrets.
func (p Process) Confided() []byte {
	var b bytes.Buffer
	b.WriteString("secrets() {\n:\n")
	for _, kv := range p.Secrets {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// dropSecrets removes what no process is going to read any more.
func dropSecrets(dir string) error {
	return ignoreMissing(os.Remove(filepath.Join(dir, secretsFile)))
}

// takeSecrets is what process.sh does in the process folder, before anything of
// the job runs. A folder whose secrets cannot be removed starts nothing.
const takeSecrets = ". ./" + secretsFile + "\nrm ./" + secretsFile + " || exit 126\n"
