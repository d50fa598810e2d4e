package chaos

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

func (p process) kill() { syscall.Kill(p.pid, syscall.SIGKILL) }

// gone reports whether a process has ended, whether or not it is buried.
func gone(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, state, found := strings.Cut(string(stat), ") ")
	return err != nil || !found || state[0] == 'Z' || state[0] == 'X'
}

// strike kills a process and waits until it is gone.
func (u *user) strike(name string, pid int) {
	u.Helper()
	if pid <= 1 {
		u.Fatalf("there is no %s to kill", name)
	}
	u.saw(Fact{Is: Killed, Name: name, PID: pid})
	syscall.Kill(pid, syscall.SIGKILL)
	u.until("the "+name+" that was killed is gone", func() bool { return gone(pid) })
}

// server returns the process id of the background server of a seat ("server", or
// "server-…" for an external engine), or 0.
func (u *user) server(seat string) int {
	text, err := os.ReadFile(filepath.Join(u.home, seat, "server.json"))
	var info struct{ PID int }
	if err != nil || json.Unmarshal(text, &info) != nil || gone(info.PID) {
		return 0
	}
	return info.PID
}

// killServer kills the background server, which holds engine and worker.
func (u *user) killServer() {
	u.Helper()
	u.strike("server", u.server("server"))
}

// supervisor returns the process that watches over a running job: its parent.
func (u *user) supervisor(job string) int {
	u.Helper()
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(u.running()[job]), "status"))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(rest))
			u.must(err)
			return pid
		}
	}
	return 0
}

// running returns the process ids of jobs that have started and not come to their
// end, by job.
func (u *user) running() map[string]int {
	u.Helper()
	pids := map[string]int{}
	for _, f := range u.facts() {
		switch f.Is {
		case Started:
			pids[f.Job] = f.PID
		case Finished:
			delete(pids, f.Job)
		}
	}
	return pids
}

// forge replaces a word in all records of a job, as if another start of the machine
// or another process had written them.
func (u *user) forge(job, from, to string) {
	u.Helper()
	word, found := regexp.MustCompile(`\b`+regexp.QuoteMeta(from)+`\b`), 0
	u.must(filepath.WalkDir(filepath.Join(u.home, "local", "jobs", job), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "log" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !word.Match(text) {
			return err
		}
		found++
		return os.WriteFile(path, word.ReplaceAll(text, []byte(to)), 0o600)
	}))
	if found == 0 {
		u.Fatalf("no record of job %s holds %q", job, from)
	}
}

// bootID names this start of the machine.
func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}
