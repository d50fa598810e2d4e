package pyenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeText is a python that does what a test wants of it: as venv it makes a folder,
// as pip it writes that it was called, waits as long as a file "hold" is there, and
// ends in vain when there is a file "fail". What it is lies beside it, or in base.
const fakeText = `#!/bin/sh
say=$PIP_FAKE
case "$*" in
*"-c import os"*)
	read -r version <"${0%/*}/version-of-${0##*/}" || exit 127
	printf 'cpython\n%s\nfake\nlinux-x86_64\n%s\n' "$version" "$0" ;;
*"-m venv"*)
	echo venv >>"$say/calls"
	for dir; do :; done
	mkdir -p "$dir/bin"
	cp "$0" "$dir/bin/python" ;;
*"pip"*install*)
	echo install >>"$say/calls"
	echo half >"$(dirname "$0")/half"
	echo $$ >"$say/pid"
	while [ -e "$say/hold" ]; do sleep 0.01; done
	if [ -e "$say/fail" ]; then cat "$say/fail"; exit 1; fi
	rm "$(dirname "$0")/half" ;;
*"pip"*freeze*)
	echo six==1.16.0 ;;
esac
`

// fake is a folder of fake pythons, and what they and a test tell each other.
type fake struct {
	*testing.T
	bin, say string
	envs     Folder
}

// newFake makes pythons by name, each with its version.
func newFake(t *testing.T, pythons map[string]string) *fake {
	f := &fake{T: t, bin: t.TempDir(), say: t.TempDir(), envs: Folder(filepath.Join(t.TempDir(), "envs"))}
	t.Setenv("PIP_FAKE", f.say) // it reaches what is started as pip's variables do
	for name, version := range pythons {
		f.write(filepath.Join(f.bin, name), fakeText, 0o755)
		if version != "" {
			f.write(filepath.Join(f.bin, "version-of-"+name), version+"\n", 0o644)
		}
	}
	return f
}

func (f *fake) write(path, text string, mode os.FileMode) {
	f.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		f.Fatal(err)
	}
}

func (f *fake) tell(name, text string) { f.write(filepath.Join(f.say, name), text, 0o644) }

func (f *fake) forget(name string) {
	f.Helper()
	if err := os.Remove(filepath.Join(f.say, name)); err != nil {
		f.Fatal(err)
	}
}

// host is what the submitting shell had: the fake pythons, then the real programs.
func (f *fake) host() map[string]string { return map[string]string{"PATH": f.bin + ":/usr/bin:/bin"} }

func (f *fake) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(f.say, name))
	return string(text)
}

func (f *fake) calls() string { return strings.Join(strings.Fields(f.read("calls")), " ") }

// await waits until a fake has written all of a line.
func (f *fake) await(name string) string {
	f.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if text := f.read(name); strings.HasSuffix(text, "\n") {
			return strings.TrimSpace(text)
		}
	}
	f.Fatalf("nothing wrote %q; calls: %s", name, f.calls())
	return ""
}
