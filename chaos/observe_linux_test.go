package chaos

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is what `status -o json` and `wait -o json` print of a run.
type record struct {
	Run    string
	Status string
	Error  *string
	Stages map[string]stageRecord
}

type stageRecord struct {
	Status   string
	Attempts int
	Exit     *int
	Cause    string
	Signal   int
	Error    *string
	Why      string
	Outputs  map[string]any
	Count    *Count
	Items    []stageRecord
}

func (u *user) status(run string) record {
	u.Helper()
	return parse[record](u, u.does("status", run, "-o", "json"))
}

// observe waits for the end of a run and tells the history all about it.
func (u *user) observe(run string) record {
	u.Helper()
	r := u.sawEnd(run)
	u.sawLogs(run)
	u.sawAlive(run)
	return r
}

// sawEnd waits for the end of a run and tells the history how it ended.
func (u *user) sawEnd(run string) record {
	u.Helper()
	s := u.amlflow("wait", run, "-o", "json", "--timeout", patience.String())
	if strings.TrimSpace(s.out) == "" {
		u.Fatalf("amlflow wait %s ended with %d and said nothing of the run:\n%s", run, s.code, s.words)
	}
	r := parse[record](u, s.out)
	u.saw(Fact{Is: Ended, Run: run, Status: r.Status, Exit: &s.code})
	for name, stage := range r.Stages {
		u.sawStage(run, name, stage)
	}
	return r
}

func (u *user) sawStage(run, name string, s stageRecord) {
	u.Helper()
	u.saw(Fact{Is: Stage, Run: run, Stage: name, Status: s.Status, Attempts: s.Attempts, Exit: s.Exit, Count: s.Count})
	for output, value := range s.Outputs {
		if digest, ok := value.(string); ok {
			u.saw(Fact{Is: Published, Run: run, Stage: name, Name: output, Digest: digest})
		}
	}
	if s.Count == nil || len(s.Items) != s.Count.Total {
		return // only some of those that failed are shown
	}
	for i, item := range s.Items {
		u.sawStage(run, fmt.Sprintf("%s[%d]", name, i), item)
	}
}

// sawLogs reads the numbered lines of the whole log of a run.
func (u *user) sawLogs(run string) {
	u.Helper()
	found := map[string][]int{}
	lines := bufio.NewScanner(strings.NewReader(u.does("logs", run)))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		stage, line, prefixed := strings.Cut(lines.Text(), "|")
		if !prefixed {
			continue
		}
		if number, ok := strings.CutPrefix(strings.TrimSpace(line), "line "); ok {
			n, err := strconv.Atoi(number)
			u.must(err)
			stage = strings.TrimSpace(stage)
			found[stage] = append(found[stage], n)
		}
	}
	u.must(lines.Err())
	for stage, numbers := range found {
		u.saw(Fact{Is: Logged, Run: run, Stage: stage, Numbers: numbers})
	}
}

// sawAlive looks for processes of the jobs of a run that has ended. What was just
// killed may take a moment to be gone.
func (u *user) sawAlive(run string) {
	u.Helper()
	jobs := filepath.Join(u.home, "local", "jobs") + "/" + run + "."
	left := u.processesOf(jobs)
	for deadline := time.Now().Add(2 * time.Second); len(left) > 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = u.processesOf(jobs)
	}
	for _, p := range left {
		u.saw(Fact{Is: Alive, Run: run, Job: p.job, PID: p.pid, Name: p.line})
	}
}

// process is one that belongs to this user.
type process struct {
	pid  int
	line string // its command line
	job  string // the job that it is of, or ""
}

// processes are all that have this user's folder in their environment. One that is
// dead and not yet buried has none.
func (u *user) processes() []process { return u.processesOf(u.root) }

func (u *user) processesOf(mark string) (found []process) {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		environ, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil || !strings.Contains(string(environ), mark) {
			continue
		}
		p := process{}
		if p.pid, err = strconv.Atoi(filepath.Base(folder)); err != nil || p.pid == os.Getpid() {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		p.line = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		for _, v := range strings.Split(string(environ), "\x00") {
			if dir, ok := strings.CutPrefix(v, "AMLFLOW_PROCESS="); ok {
				name, _, _ := strings.Cut(strings.TrimPrefix(dir, filepath.Join(u.home, "local", "jobs")+"/"), "/")
				p.job = name // other ranks than the first have a folder inside
			}
		}
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b process) int { return a.pid - b.pid })
	return found
}
