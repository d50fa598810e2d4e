package gateway

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/target"
)

// The model server is a process of the environment, also when it is started again.
func TestADeploymentHasItsEnvironment(t *testing.T) {
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("SKIP: no python3 that makes environments: apt-get install -y python3 python3-venv (%v)", err)
	}
	p := newPlace(t)
	p.Envs = pyenv.Folder(t.TempDir())
	d := p.wish("d1", "m", "")
	d.Code = p.code("score.py", "import os, sys\ndef run(data): return {'v': sys.prefix, 'data': [os.environ['VIRTUAL_ENV'], os.environ['PATH'].split(':')[0]]}\n")
	d.Environment = &target.Environment{Python: &target.Python{}}
	r := p.ask(p.live(d), "1")
	venv := strings.Trim(string(r.V), `"`)
	if !strings.HasPrefix(venv, string(p.Envs)) || string(r.Data) != `["`+venv+`", "`+venv+`/bin"]` {
		t.Errorf("answered %s %s", r.V, r.Data)
	}

	d = p.wish("d2", "n", "")
	d.Code = p.code("score.py", "def run(data): return 1\n")
	d.Environment = &target.Environment{Python: &target.Python{Packages: []string{"./here"}}}
	if err := p.Deploy(p.Context(), target.Target{Name: "here", Kind: "local"}, d, p.blobs); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `deploy "n": package "./here" is a path`) {
		t.Errorf("got %v", err)
	}
}
