package jobdir

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// limits is the record of what bounds a process.
type limits struct {
	Groups []string `json:"groups,omitempty"` // control groups made for it
	Notes  []string `json:"notes,omitempty"`  // what could not be bounded
}

// write leaves the record, if there is something to say.
func (l limits) write(dir string) error {
	if len(l.Groups)+len(l.Notes) == 0 {
		return ignoreMissing(os.Remove(filepath.Join(dir, limitsFile)))
	}
	return writeJSON(dir, limitsFile, l)
}

func readLimits(dir string) limits {
	var l limits
	// A folder without the record has no limits; one that is torn was cut off
	// before anything started.
	_, _ = readJSON(dir, limitsFile, &l)
	return l
}

func notes(dir string) []string {
	l := readLimits(dir)
	if exists(dir, unlimitedFile) {
		return append(l.Notes, "limits are not enforced here: the system refused to move the process into its control group")
	}
	return l.Notes
}

// FormatBytes writes n with the largest binary unit that divides it: 64Mi.
func FormatBytes(n int64) string {
	for i, unit := range []string{"Ti", "Gi", "Mi", "Ki"} {
		if size := int64(1) << (40 - 10*i); n >= size && n%size == 0 {
			return strconv.FormatInt(n/size, 10) + unit
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

func memoryNote(n int64) string {
	return fmt.Sprintf("memory limit of %s is not enforced here: no writable memory control group", FormatBytes(n))
}

func cpuNote(n float64) string {
	return fmt.Sprintf("limit of %g cpus is not enforced here: no writable cpu control group", n)
}
