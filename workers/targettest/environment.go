package targettest

import (
	"errors"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var environmentQuestions = []question{
	{"PythonEnvironmentsMatchCan", pythonEnvironmentsMatchCan},
	{"ImagesMatchCan", imagesMatchCan},
	{"UnfitRequirementsAreRefused", unfitRequirementsAreRefused},
}

// asksPython prints whether python3 is that of an environment, where it is, and
// what else decides that.
const asksPython = `python3 -c 'import sys; print(sys.prefix != sys.base_prefix)'
echo "$VIRTUAL_ENV"
echo "${PATH%%:*}"
echo "${PYTHONHOME-unset}"`

// A target that says it makes Python environments does, and the same one for all
// that ask for the same; another refuses the job and does not run it without.
func pythonEnvironmentsMatchCan(t *testing.T, h Harness) {
	j := h.job("python-1", asksPython)
	j.Environment = &target.Environment{Python: &target.Python{}}
	j.Env = map[string]string{"PYTHONHOME": "/nowhere"}
	if !h.Driver.Can(h.Target).Python {
		refused(t, h, j)
		return
	}
	where := map[string]bool{}
	for _, id := range []string{"python-1", "python-2"} {
		j.ID = id
		h.succeed(t, j, nil)
		said := strings.Split(strings.TrimSpace(h.log(t, id)), "\n")
		if len(said) != 4 || said[0] != "True" || said[1] == "" || said[2] != said[1]+"/bin" || said[3] != "unset" {
			t.Errorf("%s: got %q", id, said)
		}
		where[said[min(1, len(said)-1)]] = true
	}
	if len(where) != 1 {
		t.Errorf("the same environment is in %v", where)
	}
	without := h.job("python-3", `echo "${VIRTUAL_ENV-none}"`)
	h.succeed(t, without, nil)
	if got := strings.TrimSpace(h.log(t, without.ID)); got != "none" {
		t.Errorf("a job that asks for no environment is in %s", got)
	}
}

// refused checks that a submission fails for good, and that nothing runs.
func refused(t *testing.T, h Harness, j target.Job) {
	t.Helper()
	t.Cleanup(func() { h.abandon(j.ID) })
	if err := h.Driver.Submit(t.Context(), h.Target, j, &Blobs{}); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("submit of %+v: got %v, want a permanent error", j.Environment, err)
	}
	if log := h.log(t, j.ID); log != "" {
		t.Errorf("it ran: %q", log)
	}
}

// A target that says it runs images does; another refuses the job and does not run it
// without.
func imagesMatchCan(t *testing.T, h Harness) {
	j := h.job("image", "echo ran")
	if h.Driver.Can(h.Target).Images {
		if h.Image == "" {
			t.Fatal("this target says that it runs images, and nothing here holds it to that: give the exam an image to run")
		}
		j.Environment = &target.Environment{Image: h.Image}
		h.succeed(t, j, nil)
		if got := h.log(t, j.ID); got != "ran\n" {
			t.Errorf("got %q", got)
		}
		return
	}
	j.Environment = &target.Environment{Image: "example/none:1"}
	refused(t, h, j)
}

// What a requirements file says must be enough: there is no other file on the target.
func unfitRequirementsAreRefused(t *testing.T, h Harness) {
	j := h.job("unfit", "echo ran")
	j.Environment = &target.Environment{Python: &target.Python{Requirements: "-r other.txt\n"}}
	refused(t, h, j)
}
