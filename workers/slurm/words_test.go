package slurm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// What Slurm says of a job, and what follows.
func TestRulings(t *testing.T) {
	for _, q := range []struct {
		said  string
		begun bool
		cause target.Cause
	}{
		{"scontrol JobId=1 JobState=PREEMPTED Reason=None ExitCode=0:15 Restarts=0", true, target.CausePreempted},
		{"scontrol JobId=1 JobState=PENDING Reason=BeginTime ExitCode=0:0 Restarts=1", true, target.CausePreempted},
		{"scontrol JobId=1 JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15 Restarts=0", true, target.CauseTimeout},
		{"scontrol JobId=1 JobState=DEADLINE Reason=None ExitCode=0:0 Restarts=0", false, target.CauseTimeout},
		{"scontrol JobId=1 JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125 Restarts=0", true, target.CauseOOM},
		{"scontrol JobId=1 JobState=FAILED Reason=JobLaunchFailure ExitCode=0:9 Restarts=0", true, target.CauseOOM},
		{"scontrol JobId=1 JobState=CANCELLED Reason=None ExitCode=0:0 Restarts=0", false, target.CauseCancel},
		{"scontrol JobId=1 JobState=NODE_FAIL Reason=NodeDown ExitCode=0:0 Restarts=0", true, target.CauseLost},
		{"scontrol JobId=1 JobState=BOOT_FAIL Reason=None ExitCode=0:0 Restarts=0", false, target.CauseLost},
		{"scontrol JobId=1 JobState=FAILED Reason=NonZeroExitCode ExitCode=97:0 Restarts=0", false, target.CauseStart},
		{"scontrol JobId=1 JobState=COMPLETED Reason=None ExitCode=0:0 Restarts=0", false, target.CauseStart},
		{"scontrol JobId=1 JobState=FAILED Reason=NonZeroExitCode ExitCode=7:0 Restarts=0", true, target.CauseExit},
		{"scontrol JobId=1 JobName=x JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15 Restarts=0 Comment= JobState=COMPLETED", true, target.CauseTimeout},
		{"sacct CANCELLED by 1000|0:15", true, target.CauseCancel},
		{"sacct OUT_OF_MEMORY|0:125\n", true, target.CauseOOM},
		{"none", true, target.CauseLost},
	} {
		d, err := parseDetails(q.said)
		if err != nil {
			t.Errorf("%s: %v", q.said, err)
		}
		if r := d.ruling(q.begun); r.cause != string(q.cause) || r.words == "" || strings.ContainsAny(r.words, "\n") {
			t.Errorf("%s: got %+v, want %s", q.said, r, q.cause)
		}
	}
	for _, said := range []string{"", "scontrol", "scontrol JobId=1", "nonsense"} {
		if d, err := parseDetails(said); err == nil {
			t.Errorf("%q was read as %+v", said, d)
		}
	}
}

// Of the queue those jobs count whose folder is ours, and of two of them the one that lives.
func TestTheQueueIsRead(t *testing.T) {
	jobs := parseQueue(strings.Join([]string{
		"7|FAILED|/s/jobs/a|None", "8|PENDING|/s/jobs/a|Priority", "9|COMPLETED|/s/jobs/a|None",
		"10|RUNNING|/elsewhere/jobs/b|None", "11|PENDING|/s/jobs/c|(ReqNodeNotAvail, UnavailableNodes:n1|2)", "nonsense", "",
	}, "\n"), "/s/jobs")
	if len(jobs) != 2 || jobs["a"].State != "PENDING" {
		t.Errorf("got %+v", jobs)
	}
	if got := jobs["a"].why(); got != "waits in Slurm behind jobs of a higher priority (Priority)" {
		t.Error(got)
	}
	if got := jobs["c"].why(); got != "waits in Slurm for nodes that are away (ReqNodeNotAvail)" {
		t.Error(got)
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	s, err := readSettings(target.Target{Name: "hpc", Settings: []byte(`{"shared_dir": "/s", "partition": "gpu", "gres": "shard:2,gpu:a100:1", "options": {"nice": 100000000, "exclusive": true, "mail-type": "FAIL"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	got := s.request(target.Job{Timeout: time.Hour, Grace: 10 * time.Second, Needs: target.Resources{CPUs: 1.5, GPUs: 4, Memory: 1<<30 + 1, Nodes: 2}})
	want := []string{
		"--partition=gpu", "--gres=shard:2,gpu:a100:1", "--exclusive", "--mail-type=FAIL", "--nice=100000000",
		"--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=2", "--mem=1048577K", "--gres=gpu:a100:4,shard:2", "--time=62",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for gres, want := range map[string]string{"": "gpu:4", "gpu:2": "gpu:4", "gpu": "gpu:4", "gpu:h100": "gpu:h100:4", "license:1": "gpu:4,license:1"} {
		if got := withGPUs(gres, 4); got != want {
			t.Errorf("%q with 4 GPUs is %q, want %q", gres, got, want)
		}
	}
}

// What trying again mends is told from what it does not.
func TestWordsOfSlurm(t *testing.T) {
	for words, want := range map[string]error{
		"sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)":                   target.ErrUnreachable,
		"no answer from Slurm within 30 seconds":                                                                             target.ErrUnreachable,
		"sbatch: error: Batch job submission failed: Socket timed out on send/recv operation":                                target.ErrUnreachable,
		"sbatch: error: Batch job submission failed: Invalid partition name specified":                                       target.ErrPermanent,
		"sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified":             target.ErrPermanent,
		"sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates policy":        nil,
		"sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying":                                       nil,
		"sbatch: error: Batch job submission failed: Required node not available (down, drained or reserved)":                nil,
		"there is no sbatch: install the clients of Slurm there, or name their folder as `bin` of the target":                target.ErrPermanent,
		"sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)":        target.ErrPermanent,
		"sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and)": target.ErrPermanent,
	} {
		err := explain(fmt.Errorf("call: %w", &remote.ExitError{Status: 1, Stderr: words}))
		for _, known := range []error{target.ErrUnreachable, target.ErrPermanent} {
			if errors.Is(err, known) != (known == want) {
				t.Errorf("%s: got %v", words, err)
			}
		}
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for _, text := range []string{`{}`, `{"shared_dir": "relative"}`, `{"shared_dir": 7}`, `{"shared_dir": "/s", "via": {}}`, `{"shared_dir": "/s", "via": {"hosts": ["a", "b"]}}`} {
		if _, err := New().cluster(target.Target{Name: "hpc", Settings: []byte(text)}); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `"hpc"`) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
