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
// and wait. When the gateway is killed the guard starts the next one, as its child, and
// goes on to hold the socket. In between the kernel takes connections and keeps them, so
// that clients wait for a moment instead of being refused. Only the requests break off
// that the gateway was about to answer. A guard that is killed is replaced. When gateways
// are killed again and again soon after they came, it begins to wait before the next.
const guardScript = `
if read -r word <&3; then exit 0; fi
exec 3<&-
times=0
` + guardVariable + `=$$ ` + listenerVariable + `=4
export ` + guardVariable + ` ` + listenerVariable + `
while [ -e "$GUARDED_FOLDER/lock" ]; do
	born=$(date +%s)
	"$@"
	[ $? -gt 128 ] || exit 0
	times=$((times + 1))
	[ "$(date +%s)" -le "$((born + 5))" ] || times=0
	[ "$times" -lt 20 ] || sleep 1
done
`

// What a gateway is told that was started by a guard: which descriptor is the socket, and
// which process the guard is.
const (
	listenerVariable = "AMLFLOW_GATEWAY_LISTENER"
	guardVariable    = "AMLFLOW_GATEWAY_GUARD"
)

const (
	guardAgain    = 200 * time.Millisecond // how often one looks for the guard, and before it is replaced
	guardPatience = 3 * time.Second        // given to a guard to become the gateway
)

// guard is the shell, as seen by the gateway that it guards.
type guard struct {
	mu     sync.Mutex
	pid    int
	parent bool     // it has started this process
	leash  *os.File // it waits for the end of it, unless it is the parent
	gone   chan struct{}
}

// guardOver keeps a guard alive until ctx ends, which then ends in peace.
func (g *gateway) guardOver(ctx context.Context, l net.Listener) {
	for ctx.Err() == nil && g.guard.parent {
		g.guard.parent = os.Getppid() == g.guard.process()
		_ = sleep(ctx, guardAgain)
	}
	for ctx.Err() == nil && len(g.again) > 0 {
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
	if u.parent && os.Getppid() == u.pid {
		// It waits for the end of this process, which is to answer its last requests first.
		_ = syscall.Kill(u.pid, syscall.SIGKILL)
	}
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

// inherit takes over what the guard has kept for this process, if it has started it.
func (g *gateway) inherit() error {
	socket, guard := os.Getenv(listenerVariable), os.Getenv(guardVariable)
	if socket == "" {
		return nil
	}
	if err := errors.Join(os.Unsetenv(listenerVariable), os.Unsetenv(guardVariable)); err != nil {
		return err
	}
	fd, err := strconv.Atoi(socket)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s is %q, which is no descriptor", listenerVariable, socket)
	}
	if g.guard.pid, err = strconv.Atoi(guard); err != nil {
		return fmt.Errorf("%s is %q, which is no process", guardVariable, guard)
	}
	g.guard.parent = true
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	g.kept, err = net.FileListener(f)
	return err
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
