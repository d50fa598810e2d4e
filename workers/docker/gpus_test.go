package docker

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/client"
)

// A Docker is asked for all GPUs of the target, of which the job is told its own when it
// starts, and for none for a job that wants none.
func TestGPUsAreAskedFor(t *testing.T) {
	var asked struct {
		HostConfig struct {
			DeviceRequests []struct {
				DeviceIDs    []string
				Capabilities [][]string
			}
		}
	}
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch at := q.URL.Path; {
		case strings.HasSuffix(at, "/containers/create"):
			text, _ := io.ReadAll(q.Body)
			if err := json.Unmarshal(text, &asked); err != nil {
				t.Error(err)
			}
			http.Error(w, `{"message": "that is enough"}`, http.StatusInternalServerError)
		case strings.HasSuffix(at, "/containers/json"):
			_, _ = io.WriteString(w, "[]")
		case strings.Contains(at, "/volumes/"):
			http.Error(w, `{"message": "no such volume"}`, http.StatusNotFound)
		case strings.HasSuffix(at, "/_ping"):
			w.Header().Set("Api-Version", "1.41")
		default:
			_, _ = io.WriteString(w, `{"Id": "sha256:1", "ApiVersion": "1.41", "Os": "linux"}`)
		}
	}))
	defer engine.Close()
	host := "tcp://" + engine.Listener.Addr().String()
	d, on := Driver{Dir: t.TempDir()}, box(`{"host": "`+host+`", "image": "x", "gpus": 4, "nodes": 2}`)
	for id, needs := range map[string]target.Resources{"none": {}, "two": {GPUs: 2}, "four": {GPUs: 2, Nodes: 2}} {
		asked.HostConfig.DeviceRequests = nil
		err := d.Submit(t.Context(), on, target.Job{ID: id, Script: "true", Needs: needs}, &targettest.Blobs{})
		if err == nil || !strings.Contains(err.Error(), "that is enough") {
			t.Fatalf("%s: %v", id, err)
		}
		want := needs.GPUs * max(needs.Nodes, 1)
		got := asked.HostConfig.DeviceRequests
		if want == 0 && len(got) == 0 {
			continue
		}
		if len(got) != 1 || strings.Join(got[0].DeviceIDs, " ") != "0 1 2 3" || len(got[0].Capabilities) != 1 || got[0].Capabilities[0][0] != "gpu" {
			t.Errorf("%s: for %d GPUs it asks for %+v", id, want, got)
		}
	}
	if err := d.Submit(t.Context(), on, target.Job{ID: "more", Script: "true", Needs: target.Resources{GPUs: 3, Nodes: 2}}, &targettest.Blobs{}); err == nil || !strings.Contains(err.Error(), "lends 4 GPUs, the job asks for 6") {
		t.Errorf("got %v", err)
	}
}

// lendsGPUs is a rig whose engine lends two GPUs, as far as its jobs can tell.
func lendsGPUs(t *testing.T, r rig) (mine, other table) {
	t.Helper()
	asks := requestGPUs
	requestGPUs = nil
	t.Cleanup(func() { requestGPUs = asks })
	return newTable(t, r, map[string]any{"gpus": 2}), newTable(t, r, map[string]any{"gpus": 2})
}

const holds = `echo "has $CUDA_VISIBLE_DEVICES in $CUDA_DEVICE_ORDER"; while [ ! -e /amlflow/code/go ]; do sleep 0.1; done`

// until waits until a job is in a state, and asks for the others meanwhile.
func (x table) until(id string, want target.State, others ...string) target.Status {
	x.Helper()
	var st target.Status
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if st = x.status(id); st.State == want {
			return st
		}
		for _, other := range others {
			x.status(other)
		}
	}
	x.Fatalf("job %s is %+v, and not %s", id, st, want)
	return st
}

// Jobs of two state folders, which share an engine and nothing else, have its GPUs to
// themselves; who waits longest comes first; and what ends, is killed or cancelled gives back.
func TestGPUsAreLentInTurn(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x, y := lendsGPUs(t, r)
		gpu := func(id, script string, n int) target.Job {
			return target.Job{ID: id, Script: script, Needs: target.Resources{GPUs: n}, Secrets: map[string]string{"WORD": "5esame"}}
		}
		x.submit(gpu("first", holds, 1), &targettest.Blobs{})
		y.submit(gpu("second", holds, 1), &targettest.Blobs{})
		x.until("first", target.Running)
		y.until("second", target.Running)
		x.logHas("first", "has 0 in PCI_BUS_ID")
		y.logHas("second", "has 1 in PCI_BUS_ID")

		x.submit(gpu("both", `echo "has $CUDA_VISIBLE_DEVICES and $WORD"`, 2), &targettest.Blobs{})
		time.Sleep(1100 * time.Millisecond) // engines tell when a container was made in seconds
		y.submit(gpu("last", holds, 1), &targettest.Blobs{})
		x.submit(gpu("given-up", holds, 1), &targettest.Blobs{})
		x.submit(target.Job{ID: "none", Script: `echo "sees ${CUDA_VISIBLE_DEVICES-nothing}"`}, &targettest.Blobs{})
		if st := x.status("both"); st.State != target.Waiting || st.Reason != "it wants 2 GPUs, and 0 of 2 free" {
			t.Errorf("got %+v", st)
		}
		x.cancel("given-up")
		if st := x.status("given-up"); st.State != target.Cancelled {
			t.Errorf("got %+v", st)
		}

		// One is free, and is kept for who has waited longest and wants two.
		if _, err := r.engineOf(t).ContainerKill(t.Context(), containerOfJob(t, r, "first"), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
			t.Fatal(err)
		}
		x.until("first", target.Failed, "both")
		for range 20 {
			if st := y.status("last"); st.State != target.Waiting {
				t.Fatalf("it went past who waits longer: %+v", st)
			}
			x.status("both")
			time.Sleep(50 * time.Millisecond)
		}
		y.cancel("second")
		x.until("both", target.Succeeded)
		if got := x.log("both"); got != "has 0,1 and 5esame\n" {
			t.Errorf("it wrote %q", got)
		}
		y.until("last", target.Running)
		y.cancel("last")
		x.until("none", target.Succeeded)
		if got := x.log("none"); got != "sees nothing\n" {
			t.Errorf("a job that asks for none wrote %q", got)
		}
	})
}

func containerOfJob(t *testing.T, r rig, id string) string {
	t.Helper()
	f, err := r.engineOf(t).find(t.Context(), id)
	if err != nil || f.box == nil {
		t.Fatalf("job %s has no container: %v", id, err)
	}
	return f.box.ID
}

// A name that was taken and is not used is taken away, and what it says can be read again.
func TestClaimsOfContainers(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	for _, c := range []claim{{gpus: []int{0, 12}, at: at}, {waiting: true, at: at}} {
		got, ok := claimOf([]string{"/" + containerName("a-b_c.d", c.word())})
		if !ok || got.waiting != c.waiting || !got.at.Equal(at) || !slices.Equal(got.gpus, c.gpus) {
			t.Errorf("%+v is read as %+v", c, got)
		}
	}
	if c, ok := claimOf([]string{"/" + containerName("a_1_b", token())}); ok {
		t.Errorf("a name that says nothing is read as %+v", c)
	}
	r := onPodman(t)
	x, y := lendsGPUs(t, r)
	all := func(id string) target.Job {
		return target.Job{ID: id, Script: "sleep 60", Needs: target.Resources{GPUs: 2}}
	}
	x.submit(all("holds"), &targettest.Blobs{})
	x.until("holds", target.Running)
	y.submit(all("sleeps"), &targettest.Blobs{})
	e, box := r.engineOf(t), containerOfJob(t, r, "sleeps")
	fresh := claim{gpus: []int{0, 1}, at: time.Now()}
	if _, err := e.named(t.Context(), "sleeps", box, fresh); err != nil {
		t.Fatal(err)
	}
	x.cancel("holds")
	x.submit(all("comes"), &targettest.Blobs{})
	if st := x.status("comes"); st.State != target.Waiting {
		t.Errorf("it has what another is about to use: %+v", st)
	}
	old := claim{gpus: []int{0, 1}, at: time.Now().Add(-2 * unusedFor)}
	name, err := e.named(t.Context(), "sleeps", box, old)
	if err != nil {
		t.Fatal(err)
	}
	x.until("comes", target.Running)

	// Whoever takes over from a submission that died keeps what it had.
	y.submit(target.Job{ID: "again", Script: holds, Needs: target.Resources{GPUs: 1}}, &targettest.Blobs{})
	if _, err := e.named(t.Context(), "again", containerOfJob(t, r, "again"), claim{gpus: []int{1}, at: time.Now()}); err != nil {
		t.Fatal(err)
	}
	x.cancel("comes")
	y.until("again", target.Running)
	y.logHas("again", "has 1 in PCI_BUS_ID")
	if _, err := e.ContainerStart(t.Context(), name, client.ContainerStartOptions{}); err == nil {
		t.Error("who slept over it has started all the same")
	}
}
