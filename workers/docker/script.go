package docker

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

//go:embed start.sh
var startScript []byte

// ofEngines are variables that engines set by themselves. A job has those that its
// image or its stage declares, and no others.
var ofEngines = []string{"HOSTNAME", "TERM", "container"}

// script is start.sh with what it runs. Values stand in single quotes: every byte means
// itself there.
func (s *submission) script(im image) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "ranks=%d\ndeadline=%d\ngrace=%d\nmost=%d\n", s.job.Ranks(), deadline(s.job.Timeout), seconds(s.job.Grace), s.s.Log)
	if len(s.job.Secrets) > 0 && s.job.Ranks() > 1 {
		// All ranks need them, so that this shell reads them, and its children have them.
		fmt.Fprintf(&b, ". %[1]s && rm %[1]s || exit 126\n", secretsFile)
	}
	b.WriteString("job() {\n")
	// When memory runs out the kernel must choose the job, never its parent.
	b.WriteString("{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null\n")
	if len(s.job.Secrets) > 0 && s.job.Ranks() == 1 {
		fmt.Fprintf(&b, ". %[1]s && rm %[1]s || exit 126\n", secretsFile)
	}
	if s.job.Ranks() == 1 {
		fmt.Fprintf(&b, "cd %s || exit 126\n", codeDir)
	} else {
		fmt.Fprintf(&b, "if [ $1 = 0 ]; then cd %s; else cd %s/$1%s; fi || exit 126\n", codeDir, ranksDir, strings.TrimPrefix(codeDir, root))
	}
	b.WriteString("unset OLDPWD SHLVL\n")
	for _, name := range ofEngines {
		if !slices.Contains(im.env, name) {
			fmt.Fprintf(&b, "unset %s\n", name)
		}
	}
	s.exportEnviron(&b)
	if s.job.Needs.GPUs > 0 && s.job.Port == 0 {
		fmt.Fprintf(&b, ". %s || exit 126\n", gpusFile)
	}
	b.WriteString(s.findsPlugin())
	if len(s.job.Secrets) > 0 {
		b.WriteString("secrets\n")
	}
	argv := s.job.Command
	if len(argv) == 0 {
		argv = []string{shell, "-e", scriptFile}
	}
	if strings.Contains(argv[0], "/") {
		// Some shells skip the EXIT trap when exec finds no program here.
		fmt.Fprintf(&b, "if [ -e %[1]s ] && { [ -d %[1]s ] || [ ! -x %[1]s ]; }; then\n", quote(argv[0]))
		fmt.Fprintf(&b, "echo %s >&2\nexit 126\nfi\n", quote(argv[0]+": not an executable file"))
	}
	b.WriteString("exec")
	for _, word := range argv {
		b.WriteString(" " + quote(word))
	}
	b.WriteString("\n}\n")
	b.Write(startScript)
	return b.Bytes()
}

// exportEnviron writes what every rank sees, and then what each has for itself.
func (s *submission) exportEnviron(b *bytes.Buffer) {
	all := s.environ(0)
	if s.job.Ranks() == 1 {
		exportAll(b, all)
		return
	}
	own := make([]map[string]string, s.job.Ranks())
	for n := range own {
		own[n] = s.environ(n)
	}
	for name, value := range all {
		if slices.ContainsFunc(own, func(env map[string]string) bool { return env[name] != value }) {
			delete(all, name)
		}
	}
	exportAll(b, all)
	b.WriteString("case $1 in\n")
	for n, env := range own {
		for name := range all {
			delete(env, name)
		}
		fmt.Fprintf(b, "%d)\n", n)
		exportAll(b, env)
		b.WriteString(";;\n")
	}
	b.WriteString("esac\n")
}

// deadline is when the container ends the job by itself, in seconds; 0: never. A worker
// that is alive comes first.
func deadline(timeout time.Duration) int64 {
	if timeout <= 0 {
		return 0
	}
	return seconds(timeout) + 2
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// confide writes the file that start.sh reads and removes before anything else.
func (s *submission) confide(w *tar.Writer) error {
	var b bytes.Buffer
	b.WriteString("secrets() {\n")
	exportAll(&b, s.job.Secrets)
	b.WriteString("}\n")
	return addFile(w, secretsFile, openMode, b.Bytes())
}

// overwriteSecrets leaves an empty file: the API cannot remove one.
func overwriteSecrets(w *tar.Writer) error { return addFile(w, secretsFile, openMode, nil) }

func exportAll(b *bytes.Buffer, vars map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(b, "export %s=%s\n", name, quote(vars[name]))
	}
}

// quote returns s as one word of a POSIX shell (XCU 2.2.2).
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
