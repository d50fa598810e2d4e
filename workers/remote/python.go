package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/target"
)

// pythons remembers the Pythons that a machine has, by the version that was asked for.
type pythons struct {
	mu sync.Mutex
	of map[string]pyenv.Interpreter
}

// Python returns the virtual environment on the machine that p asks for: the one that is
// there, or one that is made now, which may take minutes. It is made with the tools and by
// the settings of pip that the user has there. See pyenv.Folder.Make.
func (m *Machine) Python(ctx context.Context, p target.Python) (venv string, err error) {
	lines, err := pyenv.Lines(p)
	if err != nil {
		return "", err
	}
	python, err := m.interpreter(ctx, p.Version)
	if err != nil {
		return "", err
	}
	digest := pyenv.Digest(python, lines)
	if venv, err = m.short(ctx, "equipped", digest); venv != "" || err != nil {
		return strings.TrimSuffix(venv, "\n"), err
	}
	// One at a time: all that wait probably ask for the same.
	if err := m.workshop.enter(ctx); err != nil {
		return "", err
	}
	defer m.workshop.leave()
	venv, err = m.ask(ctx, func(w io.Writer) error {
		list := slices.Concat([]string{python.Path, "# -*- coding: utf-8 -*-"}, lines, []string{"# whole", ""})
		_, err := io.WriteString(w, strings.Join(list, "\n"))
		return err
	}, "equip", digest, token())
	var ended *ExitError
	if errors.As(err, &ended) {
		return "", unequipped(p, python, ended.Stderr)
	}
	return strings.TrimSuffix(venv, "\n"), err
}

// unequipped says why an environment could not be made: the complaint of the tool ends
// with which program it was, and its status.
func unequipped(p target.Python, python pyenv.Interpreter, complaint string) error {
	said, last := "", complaint
	if i := strings.LastIndexByte(complaint, '\n'); i >= 0 {
		said, last = complaint[:i], complaint[i+1:]
	}
	name, status, _ := strings.Cut(last, " ")
	argv := []string{"python3", "-m", "venv"}
	switch name {
	case "pip":
		argv = []string{"python3", "-m", "pip", "install"}
	case "venv":
	default:
		said, status = complaint, "an error"
	}
	text, mayPass := pyenv.Explain(pyenv.Name(p), python, argv, "exit status "+status, said)
	if mayPass {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %w", text, target.ErrPermanent)
}

// interpreter returns the first Python in the user's PATH that has the version.
func (m *Machine) interpreter(ctx context.Context, version string) (pyenv.Interpreter, error) {
	m.pythons.mu.Lock()
	known, ok := m.pythons.of[version]
	m.pythons.mu.Unlock()
	if ok {
		return known, nil
	}
	text, err := m.ask(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, pyenv.Asks)
		return err
	}, "python", pyenv.Names(version)...)
	if err != nil {
		return pyenv.Interpreter{}, fmt.Errorf("look for Python: %w", err)
	}
	const each = 6 // lines: its path, and what it answers
	var there []string
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for ; len(lines) >= each; lines = lines[each:] {
		python, _ := pyenv.Answered(lines[0], lines[1:each])
		if python.Fits(version) {
			m.pythons.mu.Lock()
			m.pythons.of[version] = python
			m.pythons.mu.Unlock()
			return python, nil
		}
		there = append(there, fmt.Sprintf("%s (%s)", python.Version, python.Path))
	}
	if len(there) == 0 {
		return pyenv.Interpreter{}, fmt.Errorf("there is no python3 that works in the PATH of the user there: install it: %w", target.ErrPermanent)
	}
	return pyenv.Interpreter{}, fmt.Errorf("there is no python%s in the PATH of the user there, only %s: install it, or ask for one of these as `version`: %w", version, strings.Join(there, ", "), target.ErrPermanent)
}
