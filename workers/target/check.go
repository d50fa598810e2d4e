package target

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Check says what is wrong with a job on any target; the error wraps ErrPermanent. A
// driver asks it before it keeps anything of the job.
func (j Job) Check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("job %q "+format+": %w", append(append([]any{j.ID}, args...), ErrPermanent)...)
	}
	switch c := j.Checkpoint; {
	case !ValidID(j.ID):
		return refuse("cannot be named so: use lower-case letters, digits and . _ - and at most 200 of them")
	case (j.Script == "") == (len(j.Command) == 0):
		return refuse("must have either a script or a command")
	case c != nil && (!filepath.IsLocal(c.Path) || filepath.Clean(c.Path) == "."):
		return refuse("cannot leave checkpoints in %q: name a folder inside of the working directory", c.Path)
	}
	for _, a := range slices.Concat(j.Inputs, j.Outputs) {
		if !ValidID(a.Name) {
			return refuse("cannot name an artifact %q: use lower-case letters, digits and . _ -", a.Name)
		}
	}
	return nil
}
