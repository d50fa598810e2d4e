package jobdir

import "time"

// When a log is looked at while its process runs: soon, since much can be written in
// a moment, and then less and less often unless it grows.
const (
	aheadFirst = 20 * time.Millisecond
	aheadMost  = time.Second
	aheadFrom  = 4 << 20 // bytes from which on writing them out is worth the calls
)

// writeAhead asks the disk to take what a log has grown by, until ended is closed. What
// was printed must be on the disk before the result of a job counts, and a disk that
// begins only then lets everybody wait. It is for the sake of speed alone.
func writeAhead(dir string, ended <-chan struct{}) {
	var written int64
	for pause := aheadFirst; ; {
		f, info, err := OpenRegular(Log(dir))
		if err != nil {
			return
		}
		if n := info.Size() - written; n >= aheadFrom {
			writeOut(f, written, n)
			written, pause = info.Size(), aheadFirst
		} else {
			written, pause = min(written, info.Size()), min(2*pause, aheadMost)
		}
		f.Close()
		select {
		case <-ended:
			return
		case <-time.After(pause):
		}
	}
}
