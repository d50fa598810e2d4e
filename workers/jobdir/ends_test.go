package jobdir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestEndsIsClosedAtTheEnd(t *testing.T) {
	dir := folder(t)
	if Ends(dir) != nil {
		t.Error("there is something to wait for before the start")
	}
	start(t, dir, sh(dir, "while [ ! -e go ]; do sleep 0.01; done; exit 3"))
	hint := Ends(dir)
	select {
	case <-hint:
		t.Fatal("it is closed while the process runs")
	default:
	}
	if err := os.WriteFile(filepath.Join(dir, "../go"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-hint:
	case <-time.After(20 * time.Second):
		t.Fatal("it was never closed")
	}
	if v, err := Look(dir); v.Status != 3 || !ended(v) || err != nil || Ends(dir) != nil {
		t.Errorf("got %+v, %v", v, err)
	}
}
