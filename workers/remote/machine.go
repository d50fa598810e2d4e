package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/target"
)

//go:embed tool/*.sh
var toolFiles embed.FS

// tool is the script of all verbs, and of those in more. The last line tells that it has
// arrived whole.
func tool(more string) (text []byte) {
	for _, name := range []string{"records", "processes", "limits", "log", "supervisor", "contents", "python", "gpus", "survey", "reach", "verbs", "door"} {
		if name == "door" { // where it is entered, once all is defined
			text = append(text, more...)
		}
		part, err := toolFiles.ReadFile("tool/" + name + ".sh")
		if err != nil {
			panic(err) // a mistake of ours, which no build gets past its tests with
		}
		text = append(text, part...)
	}
	return text
}

// Machine is a machine that is reached through a shell. It may be used by many at once.
type Machine struct {
	shell Shell
	dir   string // as a script can say it: absolute, or beginning with ./ in the home folder
	tool  []byte
	bin   string // the name of the tool there, its digest
	owner string // see Own

	greeting gate // held by who asks who the machine is
	facts    *Facts
	delivery gate // held by who brings contents: two would bring the same
	workshop gate // held by who makes environments of Python
	pythons  pythons
	lane     lane
	glances  glances
	records  records
}

// Facts is what a machine says of itself.
type Facts struct {
	Dir    string // the work folder, absolute
	System string // "Linux x86_64"
	// Env is what the user's shell there has of PATH, HOME, USER, LOGNAME, SHELL, LANG and TZ.
	Env map[string]string
}

// New returns the machine behind shell that keeps its things in the folder dir, which
// is absolute or relative to the user's home folder (also as ~/…).
func New(shell Shell, dir string) *Machine { return NewWith(shell, dir, "") }

// NewWith is New with a tool that has more verbs, for Call: the text of functions
// verb_NAME for a POSIX shell, which may use what the files in tool/ define.
func NewWith(shell Shell, dir, verbs string) *Machine {
	if dir = strings.TrimPrefix(dir, "~/"); !path.IsAbs(dir) {
		dir = "./" + dir
	}
	if path.IsAbs(dir) {
		dir = path.Clean(dir)
	}
	m := &Machine{shell: shell, dir: dir, tool: tool(verbs), greeting: newGate(), delivery: newGate(), workshop: newGate()}
	sum := sha256.Sum256(m.tool)
	m.bin = hex.EncodeToString(sum[:8])
	m.lane.turn, m.glances.running, m.records.known = newGate(), map[string]kept{}, map[string]string{}
	m.pythons.of = map[string]pyenv.Interpreter{}
	return m
}

// Own has the machine know who uses it: the name of a state folder, in letters and digits.
// It comes before all else.
func (m *Machine) Own(owner string) { m.owner = owner }

// Owner is who uses the machine; - where that was not said.
func (m *Machine) Owner() string {
	if m.owner == "" {
		return "-"
	}
	return m.owner
}

// gate lets one in at a time.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g gate) leave() { <-g }

// feed writes the input of a verb. It may be called again when the tool was missing.
type feed func(w io.Writer) error

// missing is the status that says that the tool is not there.
const missing = 97

// call runs one verb of the tool. Arguments must be plain words.
func (m *Machine) call(ctx context.Context, in feed, out io.Writer, verb string, args ...string) error {
	err := m.try(ctx, in, out, verb, args)
	var ended *ExitError
	if !errors.As(err, &ended) || ended.Status != missing {
		return err
	}
	if err := m.install(ctx); err != nil {
		return err
	}
	return m.try(ctx, in, out, verb, args)
}

// ask is call for short answers.
func (m *Machine) ask(ctx context.Context, in feed, verb string, args ...string) (string, error) {
	var out bytes.Buffer
	err := m.call(ctx, in, &out, verb, args...)
	return out.String(), err
}

// Call runs one verb of the tool, one of NewWith, with what in writes as its input, and
// returns what it answers. in may be called again, and may be nil. Arguments must be
// plain words, which mean themselves to a shell. A verb that fails is an *ExitError.
func (m *Machine) Call(ctx context.Context, in func(io.Writer) error, verb string, args ...string) (string, error) {
	return m.ask(ctx, in, verb, args...)
}

func (m *Machine) try(ctx context.Context, in feed, out io.Writer, verb string, args []string) error {
	return m.tryMarked(ctx, in, &reply{mark: token(), to: out}, verb, args)
}

func (m *Machine) tryMarked(ctx context.Context, in feed, reply *reply, verb string, args []string) error {
	script := fmt.Sprintf("IFS= read -r w; cd -- \"$w\" 2>/dev/null && test -f bin/%[1]s || exit %[2]d; exec /bin/sh bin/%[1]s %[3]s",
		m.bin, missing, strings.Join(append([]string{verb}, args...), " "))
	fed, err := m.run(ctx, script, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "%s\n%s\n", m.dir, reply.mark); err != nil || in == nil {
			return err
		}
		return in(w)
	}, reply)
	var ended *ExitError
	switch {
	case fed != nil:
		return fed
	case errors.As(err, &ended) && ended.Status != missing:
		_, said, _ := strings.Cut(ended.Stderr, reply.mark+"\n")
		return &ExitError{Status: ended.Status, Stderr: strings.TrimSpace(said)}
	case err == nil && !reply.begun:
		return fmt.Errorf("the host did not run what it was sent, but answered %.200q: does a startup file of the login shell end it, or read its input?", reply.before)
	}
	return err
}

// install puts the tool into the work folder, which it makes if need be.
func (m *Machine) install(ctx context.Context) error {
	script := fmt.Sprintf("IFS= read -r w; test -d \"$w\" || mkdir -p -m 700 -- \"$w\"; mkdir -p -m 700 -- \"$w/bin\" && cd -- \"$w/bin\" && cat >.tool.$$ && test \"$(tail -n 1 .tool.$$)\" = \"# whole\" && mv -f .tool.$$ %s", m.bin)
	_, err := m.run(ctx, script, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n%s", m.dir, m.tool)
		return err
	}, io.Discard)
	var ended *ExitError
	if errors.As(err, &ended) {
		return fmt.Errorf("the work folder %q cannot be used: %s: make it writable, or name another as `workdir`", m.dir, strings.TrimSpace(ended.Stderr))
	}
	return err
}

// run runs a script with what in writes as its input. fed is why the input could not be
// written to its end, for reasons that are not those of the machine.
func (m *Machine) run(ctx context.Context, script string, in feed, out io.Writer) (fed, err error) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := in(w)
		done <- err // before the script can end because of it
		w.CloseWithError(err)
	}()
	err = m.shell.Run(ctx, script, r, out)
	r.CloseWithError(errUnread)
	if err == nil {
		fed = <-done
	} else {
		select {
		case fed = <-done:
		default: // it waits for something that is of no use any more
		}
	}
	if errors.Is(fed, errUnread) {
		fed = nil
	}
	return fed, err
}

// errUnread is what a feed is told when the script has ended before all was read.
var errUnread = errors.New("the script has ended")

// reply passes on what comes behind the mark: before it stands what the login shell
// prints by itself.
type reply struct {
	mark   string
	to     io.Writer
	before []byte
	begun  bool
}

// mostBefore bounds what a login shell may print.
const mostBefore = 1 << 20

func (r *reply) Write(p []byte) (int, error) {
	n := len(p)
	if !r.begun {
		r.before = append(r.before, p...)
		at := bytes.Index(r.before, []byte(r.mark+"\n"))
		if at < 0 {
			if len(r.before) > mostBefore {
				return 0, errors.New("the login shell of the host prints without end")
			}
			return n, nil
		}
		p, r.begun = r.before[at+len(r.mark)+1:], true
	}
	if len(p) == 0 || r.to == nil {
		return n, nil
	}
	if _, err := r.to.Write(p); err != nil {
		return 0, err
	}
	return n, nil
}

// token is a name that nobody else has.
func token() string { return strings.ToLower(rand.Text()) }

// envNames are the variables that hello tells, in this order.
var envNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}

// Facts asks the machine who it is, once.
func (m *Machine) Facts(ctx context.Context) (Facts, error) {
	if err := m.greeting.enter(ctx); err != nil {
		return Facts{}, err
	}
	defer m.greeting.leave()
	if m.facts != nil {
		return *m.facts, nil
	}
	return m.greet(ctx)
}

// Greet asks the machine who it is, whether or not it was asked before.
func (m *Machine) Greet(ctx context.Context) (Facts, error) {
	if err := m.greeting.enter(ctx); err != nil {
		return Facts{}, err
	}
	defer m.greeting.leave()
	return m.greet(ctx)
}

func (m *Machine) greet(ctx context.Context) (Facts, error) {
	text, err := m.ask(ctx, nil, "hello", m.Owner())
	if err != nil {
		return Facts{}, fmt.Errorf("prepare the work folder: %w", err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 3+len(envNames) {
		return Facts{}, fmt.Errorf("the host answered %.200q to a greeting", text)
	}
	f := Facts{Dir: lines[0], System: lines[2], Env: map[string]string{}}
	for i, name := range envNames {
		if value := lines[3+i]; value != "" {
			f.Env[name] = value
		}
	}
	m.facts = &f
	return f, nil
}

// checkUnit refuses what cannot be part of a path on the machine.
func checkUnit(unit string) error {
	id, rank, _ := strings.Cut(unit, "+")
	if !target.ValidID(id) || strings.Trim(rank, "0123456789") != "" {
		return fmt.Errorf("%q cannot name a job: use lower-case letters, digits and . _ - and at most 200 of them: %w", unit, target.ErrPermanent)
	}
	return nil
}

// Unit names the process of one rank of a job.
func Unit(id string, rank int) string {
	if rank == 0 {
		return id
	}
	return fmt.Sprintf("%s+%d", id, rank)
}
