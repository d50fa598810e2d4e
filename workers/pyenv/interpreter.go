package pyenv

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Interpreter is one Python and what it says about itself.
type Interpreter struct {
	Path           string `json:"-"`              // how it was found; others may lead to the same
	Implementation string `json:"implementation"` // "cpython"
	Version        string `json:"version"`        // "3.11.2"
	Build          string `json:"build"`          // all of sys.version
	Platform       string `json:"platform"`       // "linux-x86_64"
	Base           string `json:"base"`           // the program that environments link to
}

// Asks makes a Python, called with -c, say what Interpreter holds but for the path, in
// ASCII and a line each.
const Asks = `import os, sys
for v in (sys.implementation.name, "%d.%d.%d" % sys.version_info[:3], " ".join(sys.version.split()), sys.platform + "-" + os.uname().machine,
          os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)): print(ascii(v)[1:-1])`

// answerWithin bounds how long a Python may take to say what it is.
const answerWithin = 30 * time.Second

// Digest names the environment that python makes of lines: equal names mean equal
// content, as far as the lines name versions.
func Digest(python Interpreter, lines []string) string {
	text, _ := json.Marshal(struct {
		Format int
		Python Interpreter
		Lines  []string
	}{1, python, lines}) // nothing in it can fail
	return fmt.Sprintf("%x", sha256.Sum256(text))[:32]
}

// find returns the first Python in the PATH of env that has the version. A program
// that is there and does not work, such as a shim for what was removed, is passed over.
func find(ctx context.Context, version string, env []string) (Interpreter, error) {
	asked := map[string]*Interpreter{}
	for _, path := range candidates(version, valueOf(env, "PATH")) {
		if python := ask(ctx, path, env, asked); python != nil && python.Fits(version) {
			return *python, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return Interpreter{}, err
	}
	return Interpreter{}, absent(ctx, version, env, asked)
}

var numbered = regexp.MustCompile(`^python3(\.[0-9]+)?$`)

// Names are what a Python of a version may be called, the likely name first.
func Names(version string) []string {
	if parts := strings.Split(version, "."); len(parts) > 1 {
		return []string{"python" + parts[0] + "." + parts[1], "python3"}
	}
	return []string{"python3"}
}

// candidates are the programs that may have the version, the likely ones first.
func candidates(version, path string) []string {
	var out []string
	for _, name := range Names(version) {
		for _, dir := range filepath.SplitList(path) {
			if p := filepath.Join(dir, name); filepath.IsAbs(p) && isProgram(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Fits reports whether a Python is of a version that was asked for: 3.11.2 is a 3.11.
func (p Interpreter) Fits(asked string) bool {
	return asked == "" || p.Version == asked || strings.HasPrefix(p.Version, asked+".")
}

// ask asks the program at path, once, and returns nil when it gives no answer.
func ask(ctx context.Context, path string, env []string, asked map[string]*Interpreter) *Interpreter {
	if python, ok := asked[path]; ok {
		return python
	}
	limit, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c := exec.CommandContext(limit, path, "-I", "-S", "-c", Asks)
	c.Dir, c.Env, c.WaitDelay = "/", env, time.Second
	text, err := c.Output()
	asked[path] = nil
	if python, ok := Answered(path, strings.Split(strings.TrimRight(string(text), "\n"), "\n")); err == nil && ok {
		asked[path] = &python
	}
	return asked[path]
}

// Answered is the Python at path that has answered Asks with these lines.
func Answered(path string, lines []string) (Interpreter, bool) {
	if len(lines) != 5 {
		return Interpreter{}, false
	}
	return Interpreter{Path: path, Implementation: lines[0], Version: lines[1], Build: lines[2], Platform: lines[3], Base: lines[4]}, true
}

// absent says which Python is missing and which ones are there.
func absent(ctx context.Context, version string, env []string, asked map[string]*Interpreter) error {
	there := map[string]string{}
	var list []string
	for _, dir := range filepath.SplitList(valueOf(env, "PATH")) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if !numbered.MatchString(e.Name()) || !filepath.IsAbs(path) || !isProgram(path) {
				continue
			}
			if python := ask(ctx, path, env, asked); python != nil && there[python.Version] == "" {
				there[python.Version] = path
				list = append(list, fmt.Sprintf("%s (%s)", python.Version, path))
			}
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("there is no python3 that works in the PATH (%s): install it: %w", valueOf(env, "PATH"), target.ErrPermanent)
	}
	slices.Sort(list)
	name := "python" + version
	if version == "" {
		name = "python3"
	}
	return fmt.Errorf("there is no %s in the PATH, only %s: install it, or ask for one of these as `version`: %w", name, strings.Join(list, ", "), target.ErrPermanent)
}
