package cluster

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestSlimBuildCarriesNoServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "slim", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		if strings.HasPrefix(p, "go.temporal.io/server") || strings.HasPrefix(p, "modernc.org/") {
			t.Errorf("the slim build carries %s", p)
		}
	}
}

func TestBuildWithoutServerSaysWhatToDo(t *testing.T) {
	if Available {
		t.Skip("this build has the server: run with -tags slim")
	}
	_, err := Start(t.Context(), Options{Dir: t.TempDir()})
	if !errors.Is(err, ErrSlim) || !strings.Contains(err.Error(), "engine.address") {
		t.Errorf("got %v", err)
	}
}
