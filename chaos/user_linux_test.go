package chaos

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds everything that a test waits for. It is no measure: who needs it
// has hung.
const patience = 60 * time.Second

// user is a person with a state folder, a folder of files and a history of what
// was seen. It uses the program as people do, by its commands.
type user struct {
	*testing.T
	rand    *rand.Rand
	program string
	root    string // holds all that belongs to this user, and is in the environment of every process
	home    string // the state folder
	work    string // the current folder
	env     []string
	within  []string // a command that starts the program, such as in another network
	history *Log
}

func newUser(t *testing.T) *user {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return newUserOf(t, path, "")
}

// newUserOf makes a user of another program, or of a state folder elsewhere.
func newUserOf(t *testing.T, path, home string) *user {
	t.Helper()
	root := t.TempDir()
	u := &user{T: t, rand: chance(t), program: path, root: root, home: cmp.Or(home, filepath.Join(root, "state")), work: filepath.Join(root, "work")}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AMLFLOW_") {
			u.env = append(u.env, v)
		}
	}
	u.env = append(u.env, "AMLFLOW_HOME="+u.home, "AMLFLOW_IDLE=90s", "CHAOS="+root, "NO_COLOR=1")
	u.must(os.MkdirAll(u.work, 0o755))
	history, err := NewLog(filepath.Join(root, "facts"))
	u.must(err)
	u.history = history
	t.Cleanup(u.leave)
	return u
}

// leave ends every process of this user and, after a failure, shows what was seen.
func (u *user) leave() {
	for left := []process{{}}; len(left) > 0; left = u.processes() {
		for _, p := range left {
			if p.pid > 0 {
				p.kill()
			}
		}
	}
	if !u.Failed() {
		return
	}
	for _, file := range []string{u.history.path, filepath.Join(u.home, "server", "server.log"), filepath.Join(u.home, "local", "gateway", "gateway.log")} {
		text, _ := os.ReadFile(file)
		u.Logf("the end of %s:\n%s", file, text[max(0, len(text)-6000):])
	}
}

func (u *user) must(err error) {
	u.Helper()
	if err != nil {
		u.Fatal(err)
	}
}

func (u *user) saw(facts ...Fact) {
	u.Helper()
	u.must(u.history.Add(facts...))
}

// said is what a command printed, and how it ended.
type said struct {
	code       int // -1: it was killed
	out, words string
}

// command prepares a command of the program.
func (u *user) command(args ...string) *exec.Cmd {
	line := slices.Concat(u.within, []string{u.program}, args)
	c := exec.Command(line[0], line[1:]...)
	c.Dir, c.Env = u.work, u.env
	return c
}

// amlflow runs a command to its end.
func (u *user) amlflow(args ...string) said {
	u.Helper()
	c := u.command(args...)
	var out, words bytes.Buffer
	c.Stdout, c.Stderr = &out, &words
	if err := c.Run(); err != nil && c.ProcessState == nil {
		u.Fatal(err)
	}
	return said{c.ProcessState.ExitCode(), out.String(), words.String()}
}

// does runs a command that must end with 0, and returns what it printed.
func (u *user) does(args ...string) string {
	u.Helper()
	s := u.amlflow(args...)
	if s.code != 0 {
		u.Fatalf("amlflow %s ended with %d:\n%s%s", strings.Join(args, " "), s.code, s.out, s.words)
	}
	return s.out
}

// write puts a file into the current folder.
func (u *user) write(name, text string) {
	u.Helper()
	u.must(os.WriteFile(filepath.Join(u.work, name), []byte(text), 0o644))
}

// until waits for something to become true.
func (u *user) until(what string, ok func() bool) {
	u.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			u.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// pause lets a random time pass, below most: harm must come at any moment.
func (u *user) pause(most time.Duration) {
	time.Sleep(time.Duration(u.rand.Int64N(int64(most))))
}

// facts is the history so far.
func (u *user) facts() History {
	u.Helper()
	h, err := u.history.Read()
	u.must(err)
	return h
}

// count is how many facts of a kind there are.
func (u *user) count(is Kind) (n int) {
	u.Helper()
	for _, f := range u.facts() {
		if f.Is == is {
			n++
		}
	}
	return n
}

// judge holds the history against the promises.
func (u *user) judge() {
	u.Helper()
	for _, b := range Check(u.facts()) {
		u.Error(b)
	}
}

// parse reads what a command printed as JSON.
func parse[T any](u *user, text string) (v T) {
	u.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		u.Fatalf("%v in:\n%s", err, text)
	}
	return v
}
