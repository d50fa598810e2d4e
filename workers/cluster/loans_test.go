package cluster

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// A job that comes to a shared node finds that its allocation has ended. It waits for another;
// and what is known of the allocation is kept as long as the node has a job that was not told
// why it ends. Without one it goes.
func TestAnEndedNodeIsKeptForItsOtherJob(t *testing.T) {
	for name, other := range map[string]bool{"another job runs there": true, "nobody is there": false} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir() // a Slurm that does not answer
			for _, client := range []string{"sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol"} {
				check(t, os.WriteFile(filepath.Join(bin, client), []byte("#!/bin/sh\nexit 1\n"), 0o700))
			}
			to := training(`{"nodes": {"max": 1}, "node": {"gpus": 2}, "provider": {"kind": "slurm", "shared_dir": "` + t.TempDir() + `", "bin": "` + bin + `"}}`)
			d := New(t.TempDir(), nil)
			t.Cleanup(d.Close)
			s, err := readSettings(to)
			check(t, err)
			l, p, now := loans{d, to, s}, d.place(to.Name), time.Now()
			half := &schedule.Part{GPUs: 1}
			node := schedule.Node{Name: "n1", Phase: schedule.Ready, Created: now, Of: 2, Shared: []string{"comes"}}
			jobs := []schedule.Job{{ID: "comes", Nodes: 1, Queued: now, Part: half, On: []string{"n1"}, Slots: []int{1}}}
			if other {
				node.Shared = append(node.Shared, "runs")
				jobs = append(jobs, schedule.Job{ID: "runs", Nodes: 1, Queued: now, Part: half, On: []string{"n1"}, Slots: []int{0}, Begun: true})
				check(t, os.MkdirAll(filepath.Dir(d.farFile("runs")), 0o700))
				check(t, os.WriteFile(d.farFile("runs"), []byte(`{"cluster": "training", "kind": "slurm", "settings": {}}`), 0o600))
			}
			dir := filepath.Join(p.nodes(), "n1")
			check(t, os.MkdirAll(dir, 0o700))
			check(t, jobdir.WriteDurable(dir, hostFile, []byte("training.n1.hold")))
			check(t, jobdir.WriteDurable(dir, hereFile, nil))
			check(t, (&keeper{place: p}).save(&state{Settings: to.Settings, Cluster: schedule.Cluster{Limits: s.limits, Made: 1, Nodes: []schedule.Node{node}, Jobs: jobs}}))

			check(t, l.giveUp(t.Context(), p, "n1", "training.n1.hold", "comes"))

			st, err := p.read()
			check(t, err)
			if j := st.Cluster.Find("comes"); j == nil || len(j.On) == 1 && j.On[0] == "n1" {
				t.Errorf("the job that came is %+v", j)
			}
			j := st.Cluster.Find("runs")
			if exists(dir) != other || other && (j == nil || j.Waits()) {
				t.Errorf("the node is kept: %v, want %v; its other job is %+v", exists(dir), other, j)
			}
			if _, err := d.Status(t.Context(), target.Target{Name: to.Name, Kind: to.Kind}, "comes"); err != nil {
				t.Error(err)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
