package main

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// executable is a path that starts this very program again, also when its file
// was removed meanwhile, as `go run` does.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// invocation is how a person can start this program: what is printed before a
// verb in every advice.
var invocation = sync.OnceValue(func() string {
	exe, err := os.Executable()
	if err != nil {
		return "amlflow"
	}
	if onPath, err := exec.LookPath("amlflow"); err == nil && sameFile(onPath, exe) {
		return "amlflow"
	}
	if builtByRun(exe) {
		if _, err := os.Stat("cmd/amlflow/main.go"); err == nil {
			return "go run ./cmd/amlflow"
		}
		return "go run github.com/amlflow/amlflow/cmd/amlflow"
	}
	return os.Args[0]
})

// builtByRun reports whether exe is where `go run` puts a program: a temporary
// folder, or the build cache with a folder named after the content.
func builtByRun(exe string) bool {
	return strings.Contains(filepath.ToSlash(exe), "/go-build") || cached.MatchString(filepath.ToSlash(exe))
}

var cached = regexp.MustCompile(`/[0-9a-f]{2}/[0-9a-f]{64}-d/[^/]+$`)

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// build names the exact program: the same bytes have the same name. A server of
// another build is replaced, so the name must not be the version alone.
var build = sync.OnceValue(func() string {
	exe, err := executable()
	if err != nil {
		return version()
	}
	if id := elfBuildID(exe); id != "" {
		return id
	}
	if id := textBuildID(exe); id != "" {
		return id
	}
	return version()
})

// elfBuildID reads the note that Go's linker leaves: three words of lengths and
// type, the name "Go", then the id.
func elfBuildID(exe string) string {
	f, err := elf.Open(exe)
	if err != nil {
		return ""
	}
	defer f.Close()
	s := f.Section(".note.go.buildid")
	if s == nil {
		return ""
	}
	note, err := s.Data()
	if err != nil || len(note) <= 16 {
		return ""
	}
	return strings.TrimRight(printable(note[16:]), "\x00")
}

// textBuildID finds the id where the linker writes it for other systems: near
// the beginning of the text.
func textBuildID(exe string) string {
	f, err := os.Open(exe)
	if err != nil {
		return ""
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return ""
	}
	_, rest, ok := bytes.Cut(head, []byte("\xff Go build ID: \""))
	id, _, end := bytes.Cut(rest, []byte("\"\n \xff"))
	if !ok || !end {
		return ""
	}
	return printable(id)
}

func printable(id []byte) string {
	for _, b := range bytes.TrimRight(id, "\x00") {
		if b < ' ' || b > '~' {
			return hex.EncodeToString(id)
		}
	}
	return string(id)
}

// version is that of the module, or of the commit it was built from.
func version() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := b.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
