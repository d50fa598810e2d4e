package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// peer is a program that others use for such works: what it reads is written in its
// own language, in the way that its documentation shows, and it is started as a
// person would start it.
type peer struct {
	program string
	dir     string   // where peers.sh put it; it may also be in PATH
	ask     []string // arguments that make it print its version
	// files are what it reads for a work; dir is where a stage may leave marks.
	files func(w work, dir string) map[string]string
	run   []string // arguments
	check []string // arguments that only check; nil: it cannot
	stale []string // what a run leaves behind, which would keep the next from doing anything
	home  string   // the variable that says where it keeps what it knows; "": it keeps nothing
	// resumes are its arguments after it was killed; nil: it begins anew, and is not asked.
	resumes []string
	alone   bool // it cannot run many times at once within reasonable time
}

func (p peer) name() string { return p.program }

// exe is the path of the program.
func (p peer) exe() (string, error) {
	if at, err := filepath.Abs(filepath.Join(p.dir, "bin", p.program)); err == nil {
		if _, err := os.Stat(at); err == nil {
			return at, nil
		}
	}
	return exec.LookPath(p.program)
}

func (p peer) version(ctx context.Context) (string, error) {
	exe, err := p.exe()
	if err != nil {
		return "", err
	}
	if p.ask == nil {
		return filepath.EvalSymlinks(exe) // all that a shell says of itself
	}
	text, err := command{args: append([]string{exe}, p.ask...)}.plain(ctx)
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	words := strings.Fields(first)
	if err != nil || len(words) == 0 {
		return "", fmt.Errorf("%s %s: %w", exe, strings.Join(p.ask, " "), err)
	}
	return words[len(words)-1], nil
}

func (p peer) begin(_ context.Context, w work, dir string) (trial, error) {
	if w.Before == fresh || w.Check && p.check == nil || w.Shape == kill && p.resumes == nil || w.Shape == many && p.alone {
		return nil, errNone
	}
	exe, err := p.exe()
	if err != nil {
		return nil, err
	}
	t := &peerTrial{peer: p, exe: exe, work: w, dir: dir, folder: filepath.Join(dir, "work")}
	for _, folder := range t.folders() {
		if err := writeFiles(folder, p.files(w, dir)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

type peerTrial struct {
	peer
	exe, dir, folder string
	work             work
}

// folders are where the peer runs: many runs at once each have one of their own,
// because most peers lock theirs.
func (t *peerTrial) folders() []string {
	if t.work.Runs == 0 {
		return []string{t.folder}
	}
	var all []string
	for i := range t.work.Runs {
		all = append(all, filepath.Join(t.folder, strconv.Itoa(i+1)))
	}
	return all
}

func (t *peerTrial) command(args []string) command {
	c := command{dir: t.folder, args: append([]string{t.exe}, args...), most: peerPatience}
	if t.home != "" {
		c.env = []string{t.home + "=" + filepath.Join(t.dir, "home")}
	}
	return c
}

func (t *peerTrial) once(ctx context.Context) (sample, error) {
	if err := t.tidy(); err != nil {
		return sample{}, err
	}
	c := t.command(t.run)
	switch {
	case t.work.Check:
		c = t.command(t.check)
	case t.work.Shape == kill:
		return killing{
			dir:    t.dir,
			begin:  func() (*running, error) { return c.start(ctx) },
			strike: func(r *running) error { return killHard(r.Process.Pid) },
			again:  func() (*running, error) { return t.command(t.resumes).start(ctx) },
		}.measured()
	case t.work.Runs > 0:
		c.args = atATime(t.work.Runs, c.args, "cd {} && ")
	}
	return c.measured(ctx)
}

func (t *peerTrial) tidy() error {
	for _, folder := range t.folders() {
		for _, name := range t.stale {
			if err := os.RemoveAll(filepath.Join(folder, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *peerTrial) end() {}

// atATime is a shell loop that starts a command n times, manyAtOnce at a time.
// first, if any, is shell that runs before each; it may have {} for the number.
func atATime(n int, args []string, first ...string) []string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	each := strings.Join(first, "") + "exec " + strings.Join(quoted, " ")
	return []string{"/bin/sh", "-c", fmt.Sprintf(`seq %d | xargs -P %d -I{} /bin/sh -c "$0"`, n, manyAtOnce), each}
}
