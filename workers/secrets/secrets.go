// Package secrets keeps the secrets of a workspace, and fetches them at the last
// moment.
//
// Everything that is recorded of a run holds references: a Ref says where a value
// is kept, and never what it is. There are three places.
//
//	env    a variable of the command that starts a run. Its value waits in the
//	       run's envelope, HOME/secrets/RUN.age, until the run has ended.
//	file   a file of this computer, which nobody else may read.
//	store  .amlflow/secrets.age beside the workspace's amlflow.yaml. It may be
//	       committed: without the key it says nothing, not even names.
//
// Envelopes and stores are encrypted with age (https://age-encryption.org/v1) to
// an X25519 key, which is kept in HOME/secrets.key: `age -d -i secrets.key FILE`
// opens both. HOME is the state folder.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Ref is a variable of a job and where its value is kept. Exactly one of Env, File
// and Store is set.
type Ref struct {
	Var   string // the environment variable of the job
	Name  string // as the workspace calls it
	Env   string // a variable of the command that started the run
	File  string // the path of a file, absolute or with ~/
	Store string // the path of a store
}

// most is how many bytes a secret may have; no system takes much more in one variable.
const most = 64 << 10

// Resolve returns the values that a job of the run is to be given, by variable.
// An error names every secret that could not be had, and where it was looked for.
func Resolve(ctx context.Context, home, run string, refs []Ref) (map[string]string, error) {
	s := source{home: home}
	values, wrong := map[string]string{}, []string(nil)
	if err := s.open(run, refs); err != nil {
		return nil, err
	}
	for _, r := range refs {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		value, err := s.value(r)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("secret %q: %v", r.Name, err))
		}
		values[r.Var] = value
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return values, nil
}

// source is where values come from.
type source struct {
	home   string
	env    map[string][]byte // the variables that are known
	key    string            // a key beside those of this process
	absent string            // what is said of a variable that is not in env
	opened map[string]opened // stores, by path
}

type opened struct {
	values map[string][]byte
	err    error
}

// open takes what the run's envelope holds, if any of refs may need it.
func (s *source) open(run string, refs []Ref) error {
	for _, r := range refs {
		if r.File != "" {
			continue
		}
		e, ok, err := unseal(s.home, run)
		s.env, s.key = e.Env, e.Key
		s.absent = fmt.Sprintf("is not known: the command that started the run did not leave it in %q", envelopeFile(s.home, run))
		if !ok {
			s.absent = fmt.Sprintf("is not known: there is no %q, where the command that started the run would have left it; it is removed when the run ends", envelopeFile(s.home, run))
		}
		return err
	}
	return nil
}

func (s *source) value(r Ref) (string, error) {
	var value []byte
	var err error
	switch {
	case r.Env != "":
		v, ok := s.env[r.Env]
		if value = v; !ok {
			return "", fmt.Errorf("the variable %q %s", r.Env, s.absent)
		}
	case r.File != "":
		value, err = readPrivate(r.File)
	default:
		value, err = s.stored(r)
	}
	if err == nil {
		err = check(value)
	}
	return string(value), err
}

func (s *source) stored(r Ref) ([]byte, error) {
	got, ok := s.opened[r.Store]
	if !ok {
		got.values, got.err = Store{Home: s.home, Path: r.Store}.read(s.key)
		if s.opened == nil {
			s.opened = map[string]opened{}
		}
		s.opened[r.Store] = got
	}
	value, ok := got.values[r.Name]
	if got.err == nil && !ok {
		return nil, fmt.Errorf("%q does not hold it: run `amlflow secret set %s`", r.Store, r.Name)
	}
	return value, got.err
}

// check refuses what no job can be given.
func check(value []byte) error {
	switch {
	case len(value) == 0:
		return errors.New("it is empty")
	case len(value) > most:
		return fmt.Errorf("it has %d bytes, and no more than %d fit into a variable", len(value), most)
	case strings.IndexByte(string(value), 0) >= 0:
		return errors.New("it holds a NUL byte, which no environment variable can: keep it in base64")
	}
	return nil
}

// Trim drops one line break at the end, which editors and echo add.
func Trim(value string) string {
	return strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
}

// readPrivate reads the file of a secret. Like ssh it refuses one that others may
// read, when it is ours to protect.
func readPrivate(path string) ([]byte, error) {
	path, err := expand(path)
	if err != nil {
		return nil, err
	}
	// Without O_NONBLOCK, opening a named pipe would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, most+3))
	return []byte(Trim(string(text))), err
}

func private(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is not a regular file", path)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ours := ok && int(owner.Uid) == os.Getuid(); ours && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%q may be read by others: run `chmod 600 %s`", path, path)
	}
	return nil
}

// expand makes a path absolute that begins at the home folder.
func expand(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		dir, err := os.UserHomeDir()
		return filepath.Join(dir, rest), err
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("the path %q must be absolute, or begin with ~/", path)
	}
	return path, nil
}
