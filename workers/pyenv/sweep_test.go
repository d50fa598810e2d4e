package pyenv

import (
	"path/filepath"
	"testing"
	"time"
)

// An environment that is taken while it is being removed stays, and one whose removal
// was killed is still whole.
func TestAnEnvironmentThatIsRemovedAndTaken(t *testing.T) {
	defer func() { step = func(string) {} }()
	f := newFake(t, map[string]string{"python3": "3.11.2"})
	venv, err := f.make(six)
	f.whole(venv, err)
	digest, later := filepath.Base(filepath.Dir(venv)), time.Now().Add(time.Hour)

	step = func(string) { panic("killed") }
	func() {
		defer func() { _ = recover() }()
		_, _ = f.envs.Remove(digest, later)
	}()
	step = func(string) {}
	venv, err = f.make(six)
	f.whole(venv, err)
	if got := f.calls(); got != "venv install" {
		t.Errorf("it was made again: %s", got)
	}
	if gone, err := f.envs.Remove(digest, time.Now().Add(-time.Hour)); gone || err != nil {
		t.Errorf("one that was used lately: %v, %v", gone, err)
	}

	taken := make(chan error, 1)
	step = func(string) {
		step = func(string) {}
		go func() { _, err := f.make(six); taken <- err }()
	}
	gone, err := f.envs.Remove(digest, later)
	if err != nil || !gone {
		t.Errorf("got %v, %v", gone, err)
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if all, err := f.envs.Kept(); err != nil || len(all) != 1 || f.calls() != "venv install venv install" {
		t.Errorf("who waited for the lock finds %v, %v after %s", all, err, f.calls())
	}
	f.whole(venv, nil)
}
