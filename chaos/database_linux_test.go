package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// F24: the server is killed while it writes to its database, again and again. The
// database stays whole, and a second server on it is refused by name of the first.
func TestDatabaseKilledInMidWrite(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	steps := []step{{name: "fan", items: 20, lines: 5}}
	file := u.pipeline("p", steps...)
	var runs []string
	for range 4 {
		runs = append(runs, u.start(file, steps...))
		u.pause(300 * time.Millisecond)
		u.killServer()
	}
	for _, run := range runs {
		u.observe(run)
	}
	holder := u.server("server")
	// Whoever removes the lock of the server gets as far as the database.
	u.must(os.Remove(filepath.Join(u.home, "server", "server.lock")))
	u.must(os.Remove(filepath.Join(u.home, "server", "server.json")))
	second := u.amlflow("server", "start")
	if want := fmt.Sprintf("process %d", holder); second.code == 0 || !strings.Contains(second.words, want) {
		t.Errorf("a second server ended with %d, and does not name %s:\n%s", second.code, want, second.words)
	}
	u.strike("server", holder)
	u.checkDatabases()
	u.judge()
}

// checkDatabases asks SQLite whether the database of the engine is whole.
func (u *user) checkDatabases() {
	u.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		u.Log("SKIPPED, SQLite is not asked whether the database is whole: there is no python3")
		return
	}
	files, _ := filepath.Glob(filepath.Join(u.home, "temporal", "*.db"))
	if len(files) == 0 {
		u.Error("there is no database")
	}
	for _, file := range files {
		ask := "import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute('pragma integrity_check').fetchone()[0])"
		said, err := exec.Command(python, "-c", ask, file).CombinedOutput()
		if err != nil || strings.TrimSpace(string(said)) != "ok" {
			u.Errorf("%s is damaged: %v %s", file, err, said)
		}
	}
}

// F25: the record of one job among a hundred good runs is damaged while no server
// is there. That run fails with a message; all others finish; the server stays.
func TestPoisonAmongGoodRuns(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	g := u.gate("end")
	bad := u.start(u.pipeline("bad", step{name: "one", script: g.wait()}), step{name: "one"})
	file := u.pipeline("good", step{name: "one", lines: 3})
	u.until("the job runs", func() bool { return u.count(Started) == 1 })
	u.killServer()
	u.must(os.WriteFile(filepath.Join(u.home, "local", "jobs", bad+".one.1", "job.json"), []byte("{ this is no record"), 0o600))
	var good []string
	for range 100 {
		good = append(good, u.start(file, step{name: "one"}))
	}
	server := u.server("server")
	for _, run := range good {
		if r := u.sawEnd(run); r.Status != "succeeded" {
			t.Errorf("run %s is %s: %s", run, r.Status, deref(r.Error))
		}
	}
	if r := u.sawEnd(bad); r.Status != "failed" || r.Error == nil {
		t.Errorf("the poisoned run is %s: %s", r.Status, deref(r.Error))
	} else {
		t.Log(*r.Error)
	}
	g.open()
	if now := u.server("server"); now != server {
		t.Errorf("the server was process %d, and is %d now", server, now)
	}
}
