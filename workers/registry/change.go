package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// maxOrigins is how many origins of one content are remembered.
const maxOrigins = 20

// lock takes a name for one process at a time. A process that dies lets go of it.
func (r Registry) lock(name string) (release func(), err error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("a model cannot be named %.60q: use small letters, digits, and . _ - between them", name)
	}
	if err := os.MkdirAll(filepath.Join(r.folder(name), "by"), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(r.folder(name), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; err == syscall.EINTR; { //nolint:errorlint // as the system returns it
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// write replaces a file as a whole, and returns once that is durable.
func write(path string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp" // one writer at a time has the lock
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// key names the mark that tells which version has a content.
func key(ref target.Ref) string { return strings.ReplaceAll(string(ref), ":", "-") }

func (r Registry) mark(name string, ref target.Ref) string {
	return filepath.Join(r.folder(name), "by", key(ref))
}

// versionOf is the version that has a content; 0 when none has.
func (r Registry) versionOf(name string, ref target.Ref) (int, error) {
	text, err := os.ReadFile(r.mark(name, ref))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, nil // torn by a crash of the machine: it is written anew
	}
	return n, nil
}

// Register notes that o made a content which name stands for from now on, and returns
// its version. Called again, with the same content, it returns the same version.
func (r Registry) Register(ctx context.Context, b target.Blobs, name string, ref target.Ref, o Origin) (Version, error) {
	risky, err := Risks(ctx, b, ref)
	if err != nil {
		return Version{}, fmt.Errorf("look into the model %q: %w", name, err)
	}
	release, err := r.lock(name)
	if err != nil {
		return Version{}, fmt.Errorf("register the model %q: %w", name, err)
	}
	defer release()
	v, err := r.register(name, ref, risky, o)
	if err != nil {
		return v, fmt.Errorf("register the model %q: %w", name, err)
	}
	return v, nil
}

func (r Registry) register(name string, ref target.Ref, risky []Risk, o Origin) (Version, error) {
	all, err := r.numbers(name)
	if err != nil {
		return Version{}, err
	}
	n, err := r.versionOf(name, ref)
	if err != nil {
		return Version{}, err
	}
	if n == 0 && len(all) > 0 { // whoever wrote the last one may have died before it left the mark
		last, err := r.read(name, all[len(all)-1])
		if err != nil {
			return Version{}, err
		}
		if last.Artifact == ref && last.Removed == nil {
			n = last.Version
		}
	}
	if n > 0 && slices.Contains(all, n) {
		v, err := r.read(name, n)
		if err != nil {
			return v, err
		}
		if v.Removed == nil {
			return r.again(v, o)
		}
	}
	v := Version{Model: name, Version: 1, Artifact: ref, Made: o.At, Risky: risky, Origins: []Origin{o}}
	if len(all) > 0 {
		v.Version = all[len(all)-1] + 1
	}
	if err := write(filepath.Join(r.folder(name), file(v.Version)), v); err != nil {
		return v, err
	}
	return v, write(r.mark(name, ref), v.Version)
}

// again notes one more origin of a version.
func (r Registry) again(v Version, o Origin) (Version, error) {
	at := filepath.Join(r.folder(v.Model), file(v.Version))
	known := slices.IndexFunc(v.Origins, func(k Origin) bool { return k.Job == o.Job && k.Output == o.Output })
	if known < 0 {
		if v.Origins = append(v.Origins, o); len(v.Origins) > maxOrigins {
			v.Origins = slices.Delete(v.Origins, 1, 2)
		}
		if err := write(at, v); err != nil {
			return v, err
		}
	}
	if n, err := r.versionOf(v.Model, v.Artifact); err != nil || n == v.Version {
		return v, err
	}
	return v, write(r.mark(v.Model, v.Artifact), v.Version)
}

// Promote gives a label to a version and takes it from the one that has it. Version 0
// only takes it away. It returns the version that had it before.
func (r Registry) Promote(name string, version int, label string, d Decision) (before int, err error) {
	if !slices.Contains(Labels, label) {
		return 0, fmt.Errorf("there is no label %q: the labels are %s", label, strings.Join(Labels, ", "))
	}
	release, err := r.known(name)
	if err != nil {
		return 0, err
	}
	defer release()
	if version > 0 {
		if _, err := r.Find(name, strconv.Itoa(version)); err != nil {
			return 0, err
		}
	}
	l, err := r.labels(name)
	if err != nil {
		return 0, err
	}
	before = l.Holders[label]
	if before == version {
		return before, nil
	}
	if l.Holders[label] = version; version == 0 {
		delete(l.Holders, label)
	}
	l.History = append(l.History, Move{Label: label, From: before, To: version, Decision: d})
	return before, write(filepath.Join(r.folder(name), "labels"), l)
}

// Alias has jobs find a version by one more name, in place of the version that has it. A
// label is none: it decides what serves, and people move it.
func (r Registry) Alias(name, alias string, version int) error {
	if alias == Latest || slices.Contains(Labels, alias) {
		return fmt.Errorf("%q is a label: people give it, by `amlflow model promote %s@%d --label %s`", alias, name, version, alias)
	}
	release, err := r.known(name)
	if err != nil {
		return err
	}
	defer release()
	if _, err := r.Find(name, strconv.Itoa(version)); err != nil {
		return err
	}
	l, err := r.labels(name)
	if err != nil || l.Aliases[alias] == version {
		return err
	}
	if l.Aliases == nil {
		l.Aliases = map[string]int{}
	}
	l.Aliases[alias] = version
	return write(filepath.Join(r.folder(name), "labels"), l)
}

// known locks a model that there is.
func (r Registry) known(name string) (release func(), err error) {
	all, err := r.numbers(name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, r.unknown(name)
	}
	return r.lock(name)
}

// Remove forgets what a version is, and keeps that it was. One that has a label is not
// removed.
func (r Registry) Remove(name string, version int, d Decision) error {
	release, err := r.known(name)
	if err != nil {
		return err
	}
	defer release()
	v, err := r.Find(name, strconv.Itoa(version))
	if err != nil {
		return err
	}
	l, err := r.labels(name)
	if err != nil {
		return err
	}
	for _, label := range Labels {
		if l.Holders[label] == version {
			return fmt.Errorf("%w: %s is labelled %s: give the label to another version first", ErrHeld, v.Reference(), label)
		}
	}
	gone := Version{Model: name, Version: version, Made: v.Made, Origins: []Origin{}, Removed: &d}
	if err := write(filepath.Join(r.folder(name), file(version)), gone); err != nil {
		return err
	}
	if err := os.Remove(r.mark(name, v.Artifact)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Now is the time as decisions record it.
func Now() time.Time { return time.Now().UTC().Truncate(time.Second) }
