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
	fmt.Fprintf(&b, "deadline=%d\ngrace=%d\n", deadline(s.job.Timeout), seconds(s.job.Grace))
	b.WriteString("job() {\n")
	// When memory runs out the kernel must choose the job, never its parent.
	b.WriteString("{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null\n")
	if len(s.job.Secrets) > 0 {
		fmt.Fprintf(&b, ". %[1]s && rm %[1]s || exit 126\n", secretsFile)
	}
	fmt.Fprintf(&b, "cd %s || exit 126\nunset OLDPWD SHLVL\n", codeDir)
	for _, name := range ofEngines {
		if !slices.Contains(im.env, name) {
			fmt.Fprintf(&b, "unset %s\n", name)
		}
	}
	exportAll(&b, s.environ())
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
