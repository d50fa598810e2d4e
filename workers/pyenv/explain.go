package pyenv

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// failure is a program that did not succeed, and what it said.
type failure struct {
	argv []string
	how  string // "exit status 1"
	said string
}

func (f *failure) Error() string { return f.how }

// reason is one way in which making goes wrong: what the tools say then, what to do,
// and whether it may be over the next time. The first that fits is it.
type reason struct {
	says    *regexp.Regexp
	cure    string
	mayPass bool
}

var reasons = []reason{
	{regexp.MustCompile(`ensurepip is not\s+available|No module named '?"?(venv|ensurepip)`), "install what makes environments (Debian and Ubuntu: apt install python3-venv), or name another Python as `version`", false},
	{regexp.MustCompile(`No space left on device|Disk quota exceeded`), "make room on that disk", true},
	{regexp.MustCompile(`CERTIFICATE_VERIFY_FAILED|certificate verify failed`), "the certificate of the package index is not trusted: name its authority as `cert` in pip's own file, ~/.config/pip/pip.conf, or as PIP_CERT", false},
	{regexp.MustCompile(`THESE PACKAGES DO NOT MATCH THE HASHES`), "the index has other content than the hashes say: correct them only if you know why", false},
	{regexp.MustCompile(`(?i)hashes are required|must have their versions pinned`), "where one requirement has a --hash all must, with ==", false},
	{regexp.MustCompile(`ResolutionImpossible|conflicting dependencies`), "the requirements exclude each other: loosen one", false},
	{regexp.MustCompile(`Invalid requirement|InvalidVersion|Invalid specifier`), "correct the requirement", false},
	// An index that cannot be reached looks like one that has no versions at all.
	{regexp.MustCompile(`from versions: [^n)]`), "there is no such version for this Python: ask for one that there is, or name another Python as `version`", false},
	{regexp.MustCompile(`connection broken by|NewConnectionError|Max retries exceeded|ReadTimeout|ConnectTimeout|Read timed out|Connection reset|RemoteDisconnected|ProxyError|IncompleteRead|incomplete-download|Network is unreachable|name resolution|5\d\d Server Error|429 Client Error|Could not resolve host`), "the package index did not answer: try again when it does, or name a mirror as `index-url` in pip's own file, ~/.config/pip/pip.conf", true},
	{regexp.MustCompile(`No matching distribution found`), "the index has nothing by this name for this Python: correct the name, or name the index that has it by --index-url in a requirements file", false},
	{regexp.MustCompile(`subprocess-exited-with-error|metadata-generation-failed|Failed building wheel|Failed to build`), "it would have to be compiled here, and that did not work: ask for a version that comes as a wheel for this Python, or install what the compiler lacks", false},
}

// explain says in one sentence why the environment could not be made, and whether it may
// be over next time.
func (m *maker) explain(err error) (text string, mayPass bool) {
	var f *failure
	if !errors.As(err, &f) {
		return fmt.Sprintf("%s: %v", cannot(m.what, m.python), err), true
	}
	text, mayPass = Explain(m.what, m.python, f.argv, f.how, f.said)
	return fmt.Sprintf("%s; all that it said is in %q", text, m.path(logFile)), mayPass
}

func cannot(what string, python Interpreter) string {
	return fmt.Sprintf("the Python environment (%s) cannot be made with Python %s (%s)", what, python.Version, python.Path)
}

// Explain says in one sentence why an environment could not be made, of which Name says
// what: with what, the last words of the tool, and what to do; and whether it may be over
// next time. argv is the tool, how it ended ("exit status 1"), said all that it said.
func Explain(what string, python Interpreter, argv []string, how, said string) (text string, mayPass bool) {
	f := failure{argv: argv, how: how, said: said}
	text = cannot(what, python)
	words, errs := lastWords(f.said)
	i := slices.IndexFunc(reasons, func(r reason) bool { return r.says.MatchString(f.said) })
	if i >= 0 && !errs {
		words = strings.Join(strings.Fields(reasons[i].says.FindString(f.said)), " ")
	}
	text += fmt.Sprintf(": %s ended with %s", tool(f.argv), f.how)
	if words != "" {
		text += ": " + words
	}
	if i >= 0 {
		text += ": " + reasons[i].cure
		mayPass = reasons[i].mayPass
	}
	// Ended by a signal: by whoever was short of memory, or by a person.
	return text, mayPass || strings.HasPrefix(f.how, "signal: ")
}

// tool is a command as people know it: "pip install", "python3 -m venv".
func tool(argv []string) string {
	if i := slices.Index(argv, "pip"); i > 0 {
		for _, a := range argv[i+1:] {
			if !strings.HasPrefix(a, "-") {
				return `"pip ` + a + `"`
			}
		}
	}
	return `"` + filepath.Base(argv[0]) + ` -m venv"`
}

var (
	versions = regexp.MustCompile(`\(from versions: ([^)]*)\)`)
	noise    = regexp.MustCompile(`^(\[notice\]|WARNING: (You are using|Retrying|There was an error checking)|\[end of output\])`)
	escapes  = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)
)

// The bounds of what is repeated of a tool's words.
const (
	mostLines = 3
	mostRunes = 300
)

// lastWords is the end of what a tool said, in one line: its errors, if it called
// anything so, or else the last lines.
func lastWords(said string) (words string, areErrors bool) {
	var lines, errs []string
	for _, l := range strings.Split(escapes.ReplaceAllString(said, ""), "\n") {
		l = strings.Join(strings.Fields(l), " ")
		if l == "" || noise.MatchString(l) {
			continue
		}
		e, ok := strings.CutPrefix(l, "ERROR: ")
		if again := len(errs) > 0 && strings.HasPrefix(e, "No matching distribution found"); ok && !again {
			errs = append(errs, e)
		}
		lines = append(lines, strings.TrimPrefix(l, "ERROR: "))
	}
	if len(errs) > 0 {
		lines = errs
	}
	lines = lines[max(0, len(lines)-mostLines):]
	for i, l := range lines {
		l = versions.ReplaceAllStringFunc(secret.ReplaceAllString(l, "://****@"), fewVersions)
		if r := []rune(l); len(r) > mostRunes {
			l = string(r[:mostRunes]) + "…"
		}
		lines[i] = strings.TrimSuffix(l, ".")
	}
	return strings.Join(lines, " / "), len(errs) > 0
}

// fewVersions keeps the newest of the versions that an index has.
func fewVersions(list string) string {
	all := strings.Split(versions.FindStringSubmatch(list)[1], ", ")
	if len(all) <= 5 {
		return list
	}
	return "(from versions: …, " + strings.Join(all[len(all)-5:], ", ") + ")"
}
