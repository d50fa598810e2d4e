package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func (p process) kill() { syscall.Kill(p.pid, syscall.SIGKILL) }

// state is the letter of a process's state in /proc, or 0 when there is none.
func state(pid int) byte {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, rest, found := strings.Cut(string(stat), ") ")
	if err != nil || !found {
		return 0
	}
	return rest[0]
}

// gone reports whether a process has ended, whether or not it is buried.
func gone(pid int) bool {
	s := state(pid)
	return s == 0 || s == 'Z' || s == 'X'
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

// supervisor returns the process id of the supervisor of a job, or 0.
func (u *user) supervisor(job string) int {
	text, _ := os.ReadFile(filepath.Join(u.home, "local", "jobs", job, "ranks", "0", "started"))
	line, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(line)
	return pid
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

// forge changes the lines of a supervisor's record: process id, its line in /proc,
// boot id. The marker of the start takes the boot id, too.
func (u *user) forge(job string, change func(lines []string)) {
	u.Helper()
	folder := filepath.Join(u.home, "local", "jobs", job, "ranks", "0")
	text, err := os.ReadFile(filepath.Join(folder, "started"))
	u.must(err)
	lines := strings.Split(string(text), "\n")
	change(lines)
	u.must(os.WriteFile(filepath.Join(folder, "started"), []byte(strings.Join(lines, "\n")), 0o600))
	u.must(os.WriteFile(filepath.Join(folder, "starting"), []byte(lines[2]+"\n"), 0o600))
}
