package jobdir

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Check refuses what a process cannot be given, or a shell cannot pass on.
func (p Process) Check() error {
	if len(p.Argv) == 0 {
		return errors.New("there is no command to run")
	}
	if !filepath.IsAbs(p.Work) {
		return fmt.Errorf("the working directory %q must be an absolute path", p.Work)
	}
	for _, kv := range slices.Concat(p.Env, p.Secrets) {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || !envName.MatchString(name) {
			return fmt.Errorf("%q cannot name an environment variable: use letters, digits and _, and no digit first", name)
		}
	}
	for _, s := range slices.Concat([]string{p.Work}, p.Argv, p.Env) {
		if i := strings.IndexByte(s, 0); i >= 0 {
			return fmt.Errorf("%.40q holds a NUL byte, which no command or environment variable can", s)
		}
	}
	for _, kv := range p.Secrets {
		if name, value, _ := strings.Cut(kv, "="); strings.IndexByte(value, 0) >= 0 {
			return fmt.Errorf("the secret in %q holds a NUL byte, which no environment variable can", name)
		}
	}
	return nil
}

// script returns the shell functions that the wrapper calls, see Process.Functions.
func (p Process) script(dir string, groups []string) []byte {
	var b bytes.Buffer
	b.WriteString("enter_limits() {\n:\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "echo $$ >%s || : >%s\n", quote(g+"/cgroup.procs"), unlimitedFile)
	}
	b.WriteString("}\n")
	var before string
	if len(groups) > 0 {
		// When memory runs out the kernel must choose the job, never the wrapper.
		before = "{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null\n"
	}
	if len(p.Secrets) > 0 {
		before += takeSecrets
	}
	p.writeJob(&b, dir, before)
	return b.Bytes()
}

// Functions returns the shell function job, which becomes the process, for a supervisor
// that is not started by Start: on another machine, say. mark is the value of Mark. With
// Secrets it calls the function that Confided defines, which no file need hold.
func (p Process) Functions(mark string) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	p.writeJob(&b, mark, "")
	return b.Bytes(), nil
}

// writeJob writes the function job. Values stand in single quotes: every byte means
// itself there.
func (p Process) writeJob(b *bytes.Buffer, mark, before string) {
	b.WriteString("job() {\n" + before)
	fmt.Fprintf(b, "cd %s || exit 126\n", quote(p.Work))
	b.WriteString("unset PATH LC_ALL OLDPWD SHLVL\n")
	for _, kv := range slices.Concat(p.Env, []string{Mark + "=" + mark}) {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(b, "export %s=%s\n", name, quote(value))
	}
	if len(p.Secrets) > 0 {
		b.WriteString("secrets\n")
	}
	if strings.Contains(p.Argv[0], "/") {
		// Some shells skip the wrapper's EXIT trap when exec finds no program here.
		fmt.Fprintf(b, "if [ -e %[1]s ] && { [ -d %[1]s ] || [ ! -x %[1]s ]; }; then\n", quote(p.Argv[0]))
		fmt.Fprintf(b, "echo %s >&2\nexit 126\nfi\n", quote(p.Argv[0]+": not an executable file"))
	}
	b.WriteString("exec")
	for _, a := range p.Argv {
		b.WriteString(" " + quote(a))
	}
	b.WriteString("\n}\n")
}

// quote returns s as one word of a POSIX shell (XCU 2.2.2).
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
