package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
)

var _ target.Introducer = Driver{}

// unknownKey is the error of a host whose key nobody has confirmed, and wrongKey that of
// one which shows another key than it must.
type (
	unknownKey struct {
		error
		of target.Introduction
	}
	wrongKey struct{ error }
)

func (e unknownKey) Unwrap() error { return e.error }
func (e wrongKey) Unwrap() error   { return e.error }

// introduction is the key of a host, for a person to compare. Its proof is the line for
// the file of known hosts, behind the name of that file.
func introduction(address string, key ssh.PublicKey, file, line string) target.Introduction {
	return target.Introduction{
		Of: address, What: key.Type() + " host key", Mark: ssh.FingerprintSHA256(key),
		Advice: "compare it with what `ssh-keygen -lf` says of the key files in /etc/ssh on the host",
		Proof:  []byte(file + "\n" + line),
	}
}

// Introduce implements target.Introducer. Of the machines on the way to a host it shows
// the first that is not known: what is behind it cannot be asked before.
func (d Driver) Introduce(ctx context.Context, t target.Target) ([]target.Introduction, error) {
	s, err := readSettings(t)
	if err != nil {
		return nil, err
	}
	var all []target.Introduction
	for _, name := range s.Hosts {
		way, err := s.route(name)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w: %w", name, err, target.ErrPermanent)
		}
		client, _, err := newLink(way).dial(ctx)
		var unknown unknownKey
		var wrong wrongKey
		switch {
		case err == nil:
			client.Close()
		case errors.As(err, &unknown):
			same := func(one target.Introduction) bool {
				return one.Of == unknown.of.Of && one.Mark == unknown.of.Mark
			}
			if !slices.ContainsFunc(all, same) {
				all = append(all, unknown.of)
			}
		case errors.As(err, &wrong), errors.Is(err, target.ErrUnreachable), ctx.Err() != nil:
			return nil, fmt.Errorf("host %q: %w", name, err)
		} // what else keeps us from logging in is for Check to say
	}
	return all, nil
}

// Confirm implements target.Introducer. It adds lines to the file of known hosts.
func (Driver) Confirm(_ context.Context, _ target.Target, all []target.Introduction) error {
	for _, one := range all {
		file, line, _ := bytes.Cut(one.Proof, []byte("\n"))
		if err := addLine(string(file), line); err != nil {
			return fmt.Errorf("keep the key of %s: %w", one.Of, err)
		}
	}
	return nil
}

// addLine adds a line to a file that does not have it, with one write.
func addLine(file string, line []byte) error {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if slices.ContainsFunc(bytes.Split(text, []byte("\n")), func(l []byte) bool { return bytes.Equal(bytes.TrimSpace(l), line) }) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	add := append(slices.Clone(line), '\n')
	if len(text) > 0 && text[len(text)-1] != '\n' {
		add = append([]byte("\n"), add...)
	}
	_, err = f.Write(add)
	return errors.Join(err, f.Sync(), f.Close())
}
