package gateway

import (
	"cmp"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/pyenv"
)

// defaultPath is where programs are looked for when the submitter had no PATH.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// process says how to start an instance of the deployment.
func (d *deployment) process(number int, home string, port int) (jobdir.Process, error) {
	env := d.environ(number, home, port)
	p := jobdir.Process{Work: filepath.Join(d.dir, codeDir), Memory: d.Needs.Memory, CPUs: d.Needs.CPUs}
	for name, value := range env {
		p.Env = append(p.Env, name+"="+value)
	}
	slices.Sort(p.Env)
	if d.Score == "" {
		p.Argv = []string{cmp.Or(d.Shell, "sh"), "-e", filepath.Join(d.dir, shellFile)}
		return p, nil
	}
	if !exists(p.Work, d.Score) {
		return p, &failure{reason: fmt.Sprintf("the score file %q is not in the code folder", d.Score)}
	}
	python, err := findPython(env["PATH"])
	if err != nil {
		return p, err
	}
	p.Argv = append([]string{python, "-u", filepath.Join(d.dir, scoreFile), d.Score}, d.serveArgs()...)
	return p, nil
}

// serveArgs are the options of serve.py.
func (d *deployment) serveArgs() (args []string) {
	if d.Bytes {
		args = append(args, "--bytes")
	}
	if b := d.Batch; b != nil {
		args = append(args, "--batch", strconv.Itoa(b.Max), strconv.FormatFloat(b.Wait.Seconds(), 'f', -1, 64))
	}
	return args
}

func findPython(path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if p, err := exec.LookPath(filepath.Join(dir, "python3")); err == nil && filepath.IsAbs(p) {
			return p, nil
		}
	}
	return "", &failure{reason: fmt.Sprintf("python3 is not in the PATH %q: install it, or deploy with a script (run) that starts a server of another kind", path)}
}

// environ builds what an instance sees, from empty: the host's own part, what
// was declared, and last what the contract promises.
func (d *deployment) environ(number int, home string, port int) map[string]string {
	env := map[string]string{"PATH": defaultPath, "PYTHONUNBUFFERED": "1", "TMPDIR": filepath.Join(home, "tmp")}
	for name, value := range d.Host {
		if fromHost(name) {
			env[name] = value
		}
	}
	for name, value := range d.Env {
		env[name] = value
	}
	env["PWD"] = filepath.Join(d.dir, codeDir)
	env["PORT"] = strconv.Itoa(port)
	env["AMLFLOW_LISTEN"] = loopback
	env["AMLFLOW_ENDPOINT"] = d.Endpoint
	env["AMLFLOW_INSTANCE"] = strconv.Itoa(number)
	if d.Model != "" {
		env["AMLFLOW_MODEL"] = filepath.Join(d.dir, modelPath)
	}
	if d.Venv != "" {
		pyenv.Activate(env, d.Venv)
	}
	return env
}

// fromHost reports whether a variable of the submitting shell reaches processes
// on the same computer.
func fromHost(name string) bool {
	return slices.Contains([]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}, name) || strings.HasPrefix(name, "LC_")
}
