package remote

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Stage is how far the submission of a unit has come.
type Stage string

// The stages.
const (
	Unfilled Stage = "new"     // nothing is laid out yet
	Sealed   Stage = "sealed"  // it is laid out, and not started
	Started  Stage = "started" // it was started, and never is again
	Stopped  Stage = "stopped" // it was asked to stop before it started, and never does
	Cleaned  Stage = "cleaned" // it was cleaned, and never starts again
)

// Layout is the content of the folder of a unit.
type Layout struct {
	Process jobdir.Process // its Secrets are not laid out, see Launch
	Script  string         // the content of the file Script; empty: none
	// HostFile is the content of the file that mpirun reads, see ranks.Hosts; empty: none.
	HostFile string
	Code     target.Ref
	Inputs   []target.Artifact
	Outputs  []target.Artifact
	// Checkpoint is the folder for checkpoints, in that of the code; nil: none.
	Checkpoint *target.Checkpoint
	Venv       string // the environment of Python that the process runs in, see Machine.Python; empty: none
	Timeout    time.Duration
	Grace      time.Duration
	Log        int64 // how many bytes of the log are kept, about; 0: all
	// Tracks tells that the client of MLflow logs into the folder; see tracking.StoreEnviron.
	Tracks bool
	// Owner is the state folder that the unit is listed for by Kept; see Machine.Own.
	Owner  string
	Record any // whatever later calls need to know, for Record
}

// ScriptFile is the name of the script in the folder of a unit.
const ScriptFile = "script"

// Begin tells how far the submission of a unit has come, and reserves its folder.
func (m *Machine) Begin(ctx context.Context, unit string) (Stage, error) {
	if err := checkUnit(unit); err != nil {
		return "", err
	}
	text, err := m.short(ctx, "begin", unit)
	if err != nil {
		return "", fmt.Errorf("begin the folder of %q: %w", unit, err)
	}
	s := Stage(strings.TrimSpace(text))
	if !slices.Contains([]Stage{Unfilled, Sealed, Started, Stopped, Cleaned}, s) {
		return "", fmt.Errorf("begin the folder of %q: the host answered %.100q", unit, text)
	}
	return s, nil
}

// Fill lays out the folder of a unit, unless another submission was first; what counts
// is what Record tells afterwards. lay is told the folder, absolute, in which code/,
// in/NAME, out/NAME, tmp/ and ScriptFile will be.
func (m *Machine) Fill(ctx context.Context, unit string, lay func(dir string) (Layout, error), in target.Blobs) error {
	if err := checkUnit(unit); err != nil {
		return err
	}
	facts, err := m.Facts(ctx)
	if err != nil {
		return err
	}
	at, home := token(), path.Join(facts.Dir, "jobs", unit)
	l, err := lay(path.Join(home, at))
	if err != nil {
		return err
	}
	files, err := l.files(home)
	if err != nil {
		return fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	if err := m.deliver(ctx, l.needs(), in); err != nil {
		return err
	}
	return m.call(ctx, func(w io.Writer) error { return writeFiles(w, files) }, nil, "fill", unit, at)
}

// needs are the contents of which the folder consists.
func (l Layout) needs() []need {
	var all []need
	add := func(ref target.Ref, what string) {
		name := storeName(ref, false)
		if ref.IsTree() {
			name = ref.Hex() + ".at"
		}
		all = append(all, need{ref, name, what})
	}
	if l.Code != "" {
		add(l.Code, "code")
	}
	for _, a := range l.Inputs {
		add(a.Ref, fmt.Sprintf("input %q", a.Name))
	}
	if c := l.Checkpoint; c != nil && c.From != "" {
		add(c.From, "checkpoint")
	}
	return all
}

// file is a small file of the folder of a unit.
type file struct {
	name string
	text []byte
}

// files are those that the folder has beside contents. home is the folder of the unit.
func (l Layout) files(home string) ([]file, error) {
	job, err := l.Process.Functions(home + ":")
	if err != nil {
		return nil, err
	}
	record, err := json.Marshal(l.Record)
	if err != nil {
		return nil, err
	}
	var list strings.Builder
	line := func(what, name string, ref target.Ref) { fmt.Fprintf(&list, "%s %s %s\n", what, ref.Hex(), name) }
	if l.Code != "" {
		line("tree", "code", l.Code)
	}
	for _, a := range l.Inputs {
		if a.Ref.IsTree() {
			line("tree", "in/"+a.Name, a.Ref)
		} else {
			line("file", "in/"+a.Name, a.Ref)
		}
	}
	for _, a := range l.Outputs {
		if a.Type != target.File {
			line("folder", "out/"+a.Name, "none:-")
		}
	}
	switch c := l.Checkpoint; {
	case c == nil:
	case !filepath.IsLocal(c.Path) || strings.ContainsAny(c.Path, "\n\x00"):
		return nil, fmt.Errorf("the folder for checkpoints %q leaves that of the code", c.Path)
	case c.From == "":
		line("folder", "code/"+c.Path, "none:-")
	default:
		line("fresh", "code/"+c.Path, c.From)
	}
	all := []file{
		{"process.sh", append(l.bounds(), job...)},
		{"grace", []byte(seconds(l.Grace) + "\n")},
		{"job.json", record},
		{"layout", []byte(list.String())},
	}
	if l.Script != "" {
		all = append(all, file{ScriptFile, []byte(l.Script)})
	}
	if l.Log > 0 {
		all = append(all, file{"most", fmt.Appendf(nil, "%d\n", l.Log)})
	}
	if l.Owner != "" {
		all = append(all, file{"owner", []byte(l.Owner + "\n")})
	}
	if l.Venv != "" {
		all = append(all, file{"venv", []byte(path.Base(path.Dir(l.Venv)) + "\n")})
	}
	if l.HostFile != "" {
		all = append(all, file{ranks.HostFile, []byte(l.HostFile)})
	}
	if l.Tracks {
		found := tracking.StoreFiles()
		for _, name := range slices.Sorted(maps.Keys(found)) {
			all = append(all, file{name, []byte(found[name])})
		}
	}
	return append(all, file{"whole", nil}), nil // the last one tells that nothing was cut off
}

// bounds are what the supervisor holds the process to, see tool/limits.sh.
func (l Layout) bounds() []byte {
	quota := 0 // of 100,000 for each processor, the least that the kernel takes is 1,000
	if l.Process.CPUs > 0 {
		quota = max(1000, int(l.Process.CPUs*100_000))
	}
	return fmt.Appendf(nil, "timeout=%s memory=%d quota=%d most=%d\n", seconds(l.Timeout), l.Process.Memory, quota, l.Log)
}

// seconds writes d for sleep: without a fraction, which POSIX does not know, where it
// has none.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

func writeFiles(w io.Writer, files []file) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		if err := addFile(t, f.name, false, f.text); err != nil {
			return err
		}
	}
	return t.Close()
}

// Launch starts the process of a unit whose folder is laid out, in a session of its own
// on the machine. It returns nil once it is certain that the process was started, now or
// before, or that it never will be, because it was stopped or cleaned.
func (m *Machine) Launch(ctx context.Context, unit string, secrets []string) error {
	_, err := m.launch(ctx, secrets, "launch", unit)
	return err
}

func (m *Machine) launch(ctx context.Context, secrets []string, verb, unit string, more ...string) (string, error) {
	confided := append(jobdir.Process{Secrets: secrets}.Confided(), "# whole\n"...)
	said, err := m.ask(ctx, func(w io.Writer) error {
		_, err := w.Write(confided)
		return err
	}, verb, append([]string{unit}, more...)...)
	if err != nil {
		return "", fmt.Errorf("start %q: %w", unit, err)
	}
	m.glances.forget(unit)
	return said, nil
}

// Stop asks the process of a unit to end: TERM to its group now, and KILL to all that is
// left after its grace. A process that has not started never will. The cause of the
// first Stop stays; one that comes after the end changes nothing.
func (m *Machine) Stop(ctx context.Context, unit, cause string) error {
	if err := checkUnit(unit); err != nil {
		return err
	}
	if cause == "" || strings.Trim(cause, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return fmt.Errorf("%q is no cause: %w", cause, target.ErrPermanent)
	}
	defer m.glances.forget(unit)
	if _, err := m.short(ctx, "stop", unit, cause); err != nil {
		return fmt.Errorf("stop %q: %w", unit, err)
	}
	return nil
}

// Stopping reports whether a unit was asked to stop.
func (m *Machine) Stopping(ctx context.Context, unit string) (bool, error) {
	text, err := m.short(ctx, "stopping", unit)
	return text != "", err
}

// ErrRunning is what Clean refuses with.
var ErrRunning = errors.New("it is still running")

// Clean removes the folder of a unit, and leaves a mark so that a submission under way
// does not start it. It refuses with ErrRunning while the process runs.
func (m *Machine) Clean(ctx context.Context, unit string) error {
	if err := checkUnit(unit); err != nil {
		return err
	}
	defer m.glances.forget(unit)
	defer m.records.forget(unit)
	text, err := m.ask(ctx, nil, "clean", unit)
	if err == nil && text != "" {
		err = ErrRunning
	}
	return err
}

// Port returns a port of the machine, from about first on, that nobody listens on.
func (m *Machine) Port(ctx context.Context, first int) (int, error) {
	text, err := m.short(ctx, "port", strconv.Itoa(first))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(text))
}
