package docker

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// A Docker is asked for as many GPUs as the job wants on all of its nodes, and for none
// for a job that wants none.
func TestGPUsAreAskedFor(t *testing.T) {
	var asked struct {
		HostConfig struct {
			DeviceRequests []struct {
				Count        int
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
		if len(got) != 1 || got[0].Count != want || len(got[0].Capabilities) != 1 || got[0].Capabilities[0][0] != "gpu" {
			t.Errorf("%s: for %d GPUs it asks for %+v", id, want, got)
		}
	}
	if err := d.Submit(t.Context(), on, target.Job{ID: "more", Script: "true", Needs: target.Resources{GPUs: 3, Nodes: 2}}, &targettest.Blobs{}); err == nil || !strings.Contains(err.Error(), "lends 4 GPUs, the job asks for 6") {
		t.Errorf("got %v", err)
	}
}
