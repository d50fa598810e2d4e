package jobdir

import "sync"

// children are the supervisors that this very program has started and that are
// alive. It is all that is known of them in memory, and only for the sake of speed.
var children struct {
	sync.Mutex
	ends map[string]chan struct{} // by folder
}

// Ends returns a channel that is closed when the supervisor of dir has ended. It is
// nil, on which one waits for ever, unless this very program has started it and
// has not seen it end. Whoever asks first and looks then misses no end.
func Ends(dir string) <-chan struct{} {
	children.Lock()
	defer children.Unlock()
	return children.ends[dir]
}

// watch waits for the end of a supervisor that was just started, and reaps it.
func watch(dir string, wait func() error) {
	ended := make(chan struct{})
	children.Lock()
	if children.ends == nil {
		children.ends = map[string]chan struct{}{}
	}
	children.ends[dir] = ended
	children.Unlock()
	go func() {
		_ = wait() // how it ended is told by its folder
		children.Lock()
		delete(children.ends, dir)
		children.Unlock()
		close(ended)
	}()
}
