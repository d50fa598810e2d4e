package ssh

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func names(kept []target.Kept) []string {
	var all []string
	for _, k := range kept {
		name := k.Name
		if k.What == target.KeptContent {
			name = "x"
		}
		all = append(all, fmt.Sprintf("%s %s", k.What, name))
	}
	slices.Sort(all)
	return all
}

// Two state folders that use one host see nothing of each other, and what both may use is
// listed for neither. Alone, a state folder sees it.
func TestOwnersOnOneHost(t *testing.T) {
	r, dir := startServer(t), t.TempDir()
	place := r.target(t, dir, nil)
	owned := func(name string) Driver { return driver(t).Owned(func() string { return name }) }
	mine, yours := owned("mine"), owned("yours")
	kept := func(d Driver) []target.Kept {
		all, err := d.Kept(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	fails := func(d Driver, id string) {
		in := &targettest.Blobs{}
		j := target.Job{ID: id, Script: `cat "$AMLFLOW_INPUT_DATA"; exit 3`, Inputs: []target.Artifact{{Name: "data", Type: target.File, Ref: in.Add(t, "words")}}}
		if err := d.Submit(t.Context(), place, j, in); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			st, err := d.Status(t.Context(), place, id)
			if err != nil || time.Now().After(end) {
				t.Fatalf("%s is %+v: %v", id, st, err)
			}
			if st.State.Ended() {
				return
			}
		}
	}
	later := time.Now().Add(time.Hour)
	fails(mine, "a")
	if got := names(kept(mine)); !slices.Equal(got, []string{"content x", "job a"}) {
		t.Errorf("alone it sees %q", got)
	}
	fails(yours, "b")
	for d, want := range map[*Driver]string{&mine: "job a", &yours: "job b"} {
		if got := names(kept(*d)); !slices.Equal(got, []string{want}) {
			t.Errorf("with another it sees %q, want %q", got, want)
		}
	}
	if err := yours.Clean(t.Context(), place, "b"); err != nil {
		t.Fatal(err)
	}
	if got := names(kept(yours)); !slices.Equal(got, []string{"mark b"}) {
		t.Errorf("the other sees %q", got)
	}
	if got := names(kept(mine)); !slices.Equal(got, []string{"job a"}) {
		t.Errorf("beside the mark of another it sees %q", got)
	}
	past := time.Now().Add(-100 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "owners", "yours"), past, past); err != nil {
		t.Fatal(err)
	}
	all := kept(mine)
	if got := names(all); !slices.Equal(got, []string{"content x", "job a"}) {
		t.Errorf("long after the other it sees %q", got)
	}
	for _, k := range all {
		if k.What == target.KeptContent {
			if gone, err := mine.Sweep(t.Context(), place, k, time.Now().Add(-time.Hour)); gone || err != nil {
				t.Errorf("content that was used lately: %v, %v", gone, err)
			}
		}
		if gone, err := mine.Sweep(t.Context(), place, k, later); !gone || err != nil {
			t.Errorf("%s %s was not swept: %v", k.What, k.Name, err)
		}
	}
	if got := names(kept(mine)); !slices.Equal(got, []string{"mark a"}) {
		t.Errorf("after the sweep it sees %q", got)
	}
	fails(mine, "c") // what was swept is sent again
	var text strings.Builder
	if _, err := mine.Read(t.Context(), place, "c", target.Stream{Name: target.Log}, 0, &text); err != nil || text.String() != "words" {
		t.Errorf("a job after that reads %q, %v", text.String(), err)
	}
}
