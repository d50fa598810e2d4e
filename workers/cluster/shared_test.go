package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// Two state folders share the nodes and the queue of a cluster, and either keeps it alone.
func TestStateFoldersShareACluster(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 1, "idle": "50ms"}, "shared_dir": "`+t.TempDir()+`"}`)
	t.Cleanup(func() { r.d = r.d.in(r.to); r.end() })
	mine, other := r.d, New(t.TempDir(), nil)
	r.submit(r.job("mine", forever, 1))
	r.until("mine", target.Running)
	r.d = other
	r.submit(r.job("theirs", "true", 1))
	if st := r.status("theirs"); st.State != target.Waiting || !strings.Contains(st.Reason, "of which 1 are busy") {
		t.Errorf("got %+v", st)
	}
	if rests, err := other.Rests(t.Context()); rests || err != nil {
		t.Errorf("it rests: %v, %v", rests, err)
	}
	r.d = mine
	r.cancel("mine", target.CauseCancel)
	r.d = other
	r.until("theirs", target.Succeeded)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if err := other.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rests, _ := mine.Rests(t.Context()); rests {
			break
		}
		if time.Now().After(end) {
			t.Fatal("its node stays")
		}
	}
	if here, err := mine.places(); err != nil || len(here) != 0 {
		t.Errorf("the own folder has %v, %v", here, err)
	}
}

// A second user of a folder is told whose it is, whoever that is, and nothing is changed there.
func TestClustersOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: only root can give a folder to another user: run the test as root")
	}
	r := newRig(t, `{"nodes": {"max": 1}, "shared_dir": "`+t.TempDir()+`"}`)
	r.submit(r.job("first", "true", 1))
	r.until("first", target.Succeeded)
	dir := r.d.in(r.to).dir
	if err := os.Chown(filepath.Join(dir, "clusters"), 12345, -1); err != nil {
		t.Fatal(err)
	}
	j := r.job("second", "true", 1)
	for what, err := range map[string]error{"submit": r.d.Submit(t.Context(), r.to, j, &targettest.Blobs{}), "check": r.d.Check(t.Context(), r.to)} {
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "belong to user 12345, and you are root") || !strings.Contains(err.Error(), "or run amlflow as user 12345") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if exists(filepath.Join(dir, "jobs", j.ID)) {
		t.Error("the job was laid out all the same")
	}
}

// Shares of a computer are of that computer, whoever sees the folder.
func TestSharesOfAnotherComputer(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 1}, "shared_dir": "`+t.TempDir()+`"}`)
	r.submit(r.job("first", "true", 1))
	r.until("first", target.Succeeded)
	file := filepath.Join(string(r.d.in(r.to).place(r.to.Name)), stateFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	me, _ := os.Hostname()
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), `"machine":"`+me+`"`, `"machine":"elsewhere"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	err = r.d.Submit(t.Context(), r.to, r.job("second", "true", 1), &targettest.Blobs{})
	if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `shares of computer "elsewhere"`) {
		t.Errorf("got %v", err)
	}
	if err := r.d.Keep(t.Context()); err != nil {
		t.Errorf("what others keep is none of ours: %v", err)
	}
}

func TestNamesOfClustersOfRuns(t *testing.T) {
	to := training(`{"nodes": {"max": 1}}`)
	to.Name = "my.run.farm"
	d := New(t.TempDir(), nil)
	if err := d.Judge(to); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("got %v", err)
	}
	if err := d.Submit(t.Context(), to, target.Job{ID: "job", Script: "true"}, &targettest.Blobs{}); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("got %v", err)
	}
}

// The cluster of a run vanishes with it, and what its nodes have cost stays known; while
// nobody knows whether the run has ended, only one without a job goes.
func TestAClusterOfARunVanishes(t *testing.T) {
	r := newRig(t, `{"nodes": {"min": 1, "max": 1}, "lifetime": "run"}`)
	r.submit(r.job("one.hold.1", forever, 1))
	r.submit(r.job("one.next.1", "true", 1))
	r.submit(r.job("two.quick.1", "true", 1))
	r.until("one.hold.1", target.Running)
	r.until("two.quick.1", target.Succeeded)
	if f := r.fleet(); f.Busy != 1 || f.Ready != 2 || f.Queued != 1 || f.Max != 1 || len(f.Runs) != 2 {
		t.Errorf("got %+v", f)
	}
	if runs, err := r.d.Attends(t.Context()); err != nil || strings.Join(runs, " ") != "one two" {
		t.Errorf("it attends %v, %v", runs, err)
	}
	for _, run := range []string{"one", "two"} {
		if err := r.d.Leave(t.Context(), run, false); err != nil {
			t.Fatal(err)
		}
	}
	if f := r.fleet(); f.Ready != 1 || f.Busy != 1 || f.NodeHours == 0 {
		t.Errorf("got %+v", f)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if err := errors.Join(r.d.Leave(t.Context(), "one", true), r.d.Leave(t.Context(), "two", false)); err != nil {
			t.Fatal(err)
		}
		if runs, _ := r.d.Attends(t.Context()); len(runs) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not vanish")
		}
	}
	for id, want := range map[string]target.State{"one.hold.1": target.Cancelled, "one.next.1": target.Cancelled, "two.quick.1": target.Succeeded} {
		if st := r.status(id); st.State != want {
			t.Errorf("%s: %+v", id, st)
		}
	}
	f := r.fleet()
	if f.Shrank.Why != "its run has ended" {
		t.Errorf("it shrank: %+v", f.Shrank)
	}
	if spent := f.NodeHours; f.Ready+f.Busy+f.Queued+len(f.Runs) != 0 || spent == 0 {
		t.Errorf("got %+v", f)
	}
	r.submit(r.job("three.quick.1", "true", 1))
	r.until("three.quick.1", target.Succeeded)
	for range 3 {
		if err := r.d.Leave(t.Context(), "three", true); err != nil {
			t.Fatal(err)
		}
	}
	if runs, err := r.d.Attends(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("it attends %v, %v", runs, err)
	}
	if now := r.fleet(); now.NodeHours <= f.NodeHours {
		t.Errorf("node-hours were %v, and are %v", f.NodeHours, now.NodeHours)
	}
}
