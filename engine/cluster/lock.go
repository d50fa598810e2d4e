package cluster

import "fmt"

// BusyError says which process runs the embedded server of a folder. It wraps ErrBusy.
type BusyError struct {
	Dir string
	PID int // 0 when the holder has not yet written it
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%v: %s runs an engine in %q: use that one, or stop it first", ErrBusy, who, e.Dir)
}

func (e *BusyError) Unwrap() error { return ErrBusy }
