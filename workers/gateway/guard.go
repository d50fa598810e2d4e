package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A gateway has a guard and a reserve: two shells that do nothing but hold the same
// listening socket and wait. When the gateway is killed the guard starts the next one, as
// its child, and goes on to hold the socket. In between the kernel takes connections and
// keeps them, so that clients wait for a moment instead of being refused. Only the
// requests break off that the gateway was about to answer. When the guard is killed with
// it, the reserve does the same. Each waits for the end of a pipe, its leash: that of the
// guard is held by the gateway, that of the reserve by the guard, too.
//
// Each gateway starts two of its own as soon as it listens, and lets those go that had
// started it; so does one that has lost either. Should two start a gateway at once, the
// lock decides, and the guard of the other ends with it. When gateways are killed again
// and again soon after they came, a guard begins to wait before the next.
const guardScript = `
if read -r word <&3; then exit 0; fi
exec 3<&-
times=$GUARDED_TIMES
born=$GUARDED_SINCE
` + guardVariable + `=$$ ` + listenerVariable + `=4
export ` + guardVariable + ` ` + listenerVariable + ` ` + timesVariable + `
while [ -e "$GUARDED_FOLDER/lock" ]; do
	times=$((times + 1))
	[ "$(date +%s)" -le "$((born + 5))" ] || times=0
	[ "$times" -lt 20 ] || sleep 1
	` + timesVariable + `=$times
	born=$(date +%s)
	"$@"
	[ $? -gt 128 ] || exit 0
done
`

// What a gateway is told that was started by a guard: which descriptor is the socket,
// which process the guard is, which descriptor is the leash of the reserve, if there is
// one, and how many gateways in a row have died soon.
const (
	listenerVariable = "AMLFLOW_GATEWAY_LISTENER"
	guardVariable    = "AMLFLOW_GATEWAY_GUARD"
	reserveVariable  = "AMLFLOW_GATEWAY_RESERVE"
	timesVariable    = "AMLFLOW_GATEWAY_TIMES"
)

const (
	guardAgain    = 200 * time.Millisecond // before guards that have gone are replaced
	guardPatience = 3 * time.Second        // given to a guard to become the gateway
)

// guards are the two shells, as seen by the gateway that they guard.
type guards struct {
	mu      sync.Mutex
	guard   *watchman
	reserve *watchman
	times   int // gateways in a row that have died soon, before this one
}

// watchman is one of the shells.
type watchman struct {
	pid   int
	leash *os.File      // it waits for the end of it; nil: it has started this process
	gone  chan struct{} // closed when it has ended; nil: it is no child of this process
}

// guardOver keeps a guard and a reserve alive until ctx ends, which then end in peace.
func (g *gateway) guardOver(ctx context.Context, l net.Listener) {
	for ctx.Err() == nil && len(g.again) > 0 {
		had := g.guards.both()
		guard, reserve, err := g.startGuards(l)
		if err != nil {
			g.log.Error("start the guards", "error", err)
			_ = sleep(ctx, time.Second)
			continue
		}
		g.guards.set(guard, reserve)
		g.say("")
		dismiss(g.log, had...)
		select {
		case <-ctx.Done():
		case <-guard.gone:
			g.log.Warn("the guard has gone and is replaced")
		case <-reserve.gone:
			g.log.Warn("the reserve of the guard has gone and is replaced")
		}
		_ = sleep(ctx, guardAgain)
	}
	dismiss(g.log, g.guards.both()...)
}

// startGuards starts a guard and its reserve.
func (g *gateway) startGuards(l net.Listener) (guard, reserve *watchman, err error) {
	socket, err := duplicate(l.(*net.TCPListener))
	if err != nil {
		return nil, nil, err
	}
	defer socket.Close()
	if reserve, err = g.startWatchman("amlflow-reserve", socket, nil); err != nil {
		return nil, nil, err
	}
	if guard, err = g.startWatchman("amlflow-guard", socket, reserve.leash); err != nil {
		dismiss(g.log, reserve)
		return nil, nil, err
	}
	return guard, reserve, nil
}

// startWatchman starts one of the two. With the leash of a reserve it holds that, too,
// and so does the gateway that it starts.
func (g *gateway) startWatchman(name string, socket, reserve *os.File) (*watchman, error) {
	end, leash, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer end.Close()
	c := exec.Command("/bin/sh", append([]string{"-c", guardScript, name}, g.again...)...)
	c.Env = append(os.Environ(), "GUARDED_FOLDER="+g.Dir, fmt.Sprint("GUARDED_TIMES=", g.guards.times), fmt.Sprint("GUARDED_SINCE=", time.Now().Unix()))
	c.ExtraFiles = []*os.File{end, socket}
	if reserve != nil {
		c.Env = append(c.Env, reserveVariable+"=5")
		c.ExtraFiles = append(c.ExtraFiles, reserve)
	}
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		leash.Close()
		return nil, err
	}
	w := &watchman{pid: c.Process.Pid, leash: leash, gone: make(chan struct{})}
	go func() {
		_ = c.Wait()
		close(w.gone)
	}()
	return w, nil
}

// duplicate returns another descriptor of the socket. That of l.File would make both of
// them block, and a listener that blocks cannot be closed.
func duplicate(l *net.TCPListener) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dup error
	err = raw.Control(func(of uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, dup = syscall.Dup(int(of)); dup == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err = errors.Join(err, dup); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

func (u *guards) set(guard, reserve *watchman) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.guard, u.reserve = guard, reserve
}

func (u *guards) both() (all []*watchman) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, w := range []*watchman{u.guard, u.reserve} {
		if w != nil {
			all = append(all, w)
		}
	}
	return all
}

// processes are the two, 0 for one that is not known.
func (u *guards) processes() (guard, reserve int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.guard != nil {
		guard = u.guard.pid
	}
	if u.reserve != nil {
		reserve = u.reserve.pid
	}
	return guard, reserve
}

// dismiss tells watchmen that all is well, and waits until they have let go of the socket.
func dismiss(log *slog.Logger, all ...*watchman) {
	for _, w := range all {
		if w.leash != nil {
			_, _ = w.leash.WriteString("bye\n")
			w.leash.Close()
		} else if os.Getppid() == w.pid {
			// It waits for the end of this process, which is to go on.
			_ = syscall.Kill(w.pid, syscall.SIGKILL)
		}
	}
	late := time.After(guardPatience)
	for _, w := range all {
		if w.gone == nil {
			continue
		}
		select {
		case <-w.gone:
		case <-late:
			log.Warn("a guard does not end", "pid", w.pid)
			return
		}
	}
}

// inherit takes over what the guard has kept for this process, if it has started it.
func (g *gateway) inherit() error {
	told := map[string]int{}
	for _, name := range []string{listenerVariable, guardVariable, reserveVariable, timesVariable} {
		said := os.Getenv(name)
		if said == "" {
			continue
		}
		n, err := strconv.Atoi(said)
		if err = errors.Join(err, os.Unsetenv(name)); err != nil {
			return fmt.Errorf("%s is %q, which is no number: %w", name, said, err)
		}
		told[name] = n
	}
	socket, reserve := told[listenerVariable], told[reserveVariable]
	if socket == 0 {
		return nil
	}
	g.guards.times = told[timesVariable]
	g.guards.guard = &watchman{pid: told[guardVariable]}
	if reserve >= 3 {
		syscall.CloseOnExec(reserve) // no instance is to hold it
		g.guards.reserve = &watchman{leash: os.NewFile(uintptr(reserve), "leash")}
	}
	if socket < 3 {
		return fmt.Errorf("%s is %d, which is no descriptor of a socket", listenerVariable, socket)
	}
	f := os.NewFile(uintptr(socket), "listener")
	defer f.Close()
	var err error
	g.kept, err = net.FileListener(f)
	return err
}

// awaitGuard gives the guards of a gateway that was killed the time to take its place.
func (f Folder) awaitGuard(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, guardPatience)
	defer cancel()
	for !nudge(f.Dir) {
		// A number that another process has by now costs no more than the wait.
		n := f.now()
		if !lives(n.Guard) && !lives(n.Reserve) || sleep(limit, 5*time.Millisecond) != nil {
			return
		}
	}
}

// lives reports whether a process can still do something. One that has ended, and whose
// parent has not asked how, is there by its number alone.
func lives(pid int) bool {
	if pid == 0 || syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true // this system tells it in another way, if at all
	}
	_, state, _ := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" ")) // the name before it may hold anything
	return !bytes.HasPrefix(state, []byte("Z"))
}
