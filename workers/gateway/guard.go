package gateway

import (
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

// A gateway has a guard: a shell that does nothing but hold the same listening socket
// and wait. When the gateway is killed the guard becomes the next one, by executing the
// same command. In between the kernel takes connections and keeps them, so that clients
// wait for a moment instead of being refused. Only the requests break off that the
// gateway was about to answer. A guard that is killed is replaced. When gateways die
// again and again soon after they came, it begins to wait before the next.
const guardScript = `
born=$(date +%s)
if read -r word <&3; then exit 0; fi
exec 3<&-
if [ "$(date +%s)" -gt "$((born + 5))" ]; then GUARDED_TIMES=0; else GUARDED_TIMES=$((${GUARDED_TIMES:-0} + 1)); fi
export GUARDED_TIMES
[ "$GUARDED_TIMES" -lt 20 ] || sleep 1
[ -e "$GUARDED_FOLDER/lock" ] || exit 0
unset GUARDED_FOLDER
` + listenerVariable + `=4
export ` + listenerVariable + `
exec "$@"
`

// listenerVariable tells the next gateway which descriptor is the socket.
const listenerVariable = "AMLFLOW_GATEWAY_LISTENER"

const (
	guardAgain    = time.Second     // the pause before a guard is replaced
	guardPatience = 3 * time.Second // given to a guard to become the gateway
)

// guard is the shell, as seen by the gateway that it guards.
type guard struct {
	mu    sync.Mutex
	pid   int
	leash *os.File // it waits for the end of it
	gone  chan struct{}
}

// guardOver keeps a guard alive until ctx ends, which then ends in peace.
func (g *gateway) guardOver(ctx context.Context, l net.Listener) {
	if len(g.again) == 0 {
		return
	}
	for ctx.Err() == nil {
		if err := g.guard.start(g.Dir, g.again, l); err != nil {
			g.log.Error("start the guard", "error", err)
		} else {
			g.say("")
			select {
			case <-ctx.Done():
			case <-g.guard.gone:
				g.log.Warn("the guard has gone and is replaced")
			}
		}
		_ = sleep(ctx, guardAgain)
	}
	g.guard.dismiss(g.log)
}

func (u *guard) start(dir string, again []string, l net.Listener) error {
	socket, err := duplicate(l.(*net.TCPListener))
	if err != nil {
		return err
	}
	defer socket.Close()
	end, leash, err := os.Pipe()
	if err != nil {
		return err
	}
	defer end.Close()
	c := exec.Command("/bin/sh", append([]string{"-c", guardScript, "amlflow-guard"}, again...)...)
	c.Env = append(os.Environ(), "GUARDED_FOLDER="+dir)
	c.ExtraFiles = []*os.File{end, socket}
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		leash.Close()
		return err
	}
	gone := make(chan struct{})
	u.mu.Lock()
	u.pid, u.leash, u.gone = c.Process.Pid, leash, gone
	u.mu.Unlock()
	go func() {
		_ = c.Wait()
		leash.Close()
		close(gone)
	}()
	return nil
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

// dismiss tells the guard that all is well, and waits until it has let go of the socket.
func (u *guard) dismiss(log *slog.Logger) {
	u.mu.Lock()
	leash, gone := u.leash, u.gone
	u.mu.Unlock()
	if leash == nil {
		return
	}
	_, _ = leash.WriteString("bye\n")
	select {
	case <-gone:
	case <-time.After(guardPatience):
		log.Warn("the guard does not end")
	}
}

func (u *guard) process() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.pid
}

// inherited returns the socket that the guard has kept, or nil.
func inherited() (net.Listener, error) {
	said := os.Getenv(listenerVariable)
	if said == "" {
		return nil, nil
	}
	if err := os.Unsetenv(listenerVariable); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(said)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s is %q, which is no descriptor", listenerVariable, said)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	return net.FileListener(f)
}

// awaitGuard gives the guard of a gateway that was killed the time to take its place.
func (f Folder) awaitGuard(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, guardPatience)
	defer cancel()
	for !nudge(f.Dir) {
		// A number that another process has by now costs no more than the wait.
		pid := f.now().Guard
		if pid == 0 || syscall.Kill(pid, 0) != nil || sleep(limit, 5*time.Millisecond) != nil {
			return
		}
	}
}
