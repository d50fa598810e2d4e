package jobdir

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// traces lists the files below dir that hold text.
func traces(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			content, _ := os.ReadFile(path)
			if bytes.Contains(content, []byte(text)) {
				found = append(found, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSecretsAreExact(t *testing.T) {
	var all strings.Builder
	for b := 1; b < 256; b++ {
		all.WriteByte(byte(b))
	}
	secrets := []string{"ALL=" + all.String(), "QUOTES='\"\\$(touch x)`touch x`", "LINES2=a\n\nb\n", "IFS=abc", "EMPTY=", "TWICE=secret", "BIG=" + strings.Repeat("x'", 30_000)}
	dir := folder(t)
	start(t, dir, Process{Argv: []string{"/usr/bin/env", "-0"}, Env: []string{"TWICE=env"}, Secrets: secrets, Work: "/"})
	until(t, dir, ended)
	text, _ := os.ReadFile(Log(dir))
	got := strings.Split(string(text), "\x00")
	for _, kv := range secrets {
		if !slices.Contains(got, kv) {
			t.Errorf("%.100q did not arrive", kv)
		}
	}
}

// Once the program runs, its secrets are in its memory alone.
func TestSecretsLeaveNoTrace(t *testing.T) {
	dir := folder(t)
	p := sh(dir, "echo on >on; sleep 300")
	p.Secrets = []string{"TOKEN=hidden"}
	start(t, dir, p)
	appears(t, filepath.Join(dir, "../on"))
	if found := traces(t, dir, "hidden"); len(found) > 0 {
		t.Errorf("they are in %v", found)
	}
	for _, file := range []string{"cmdline", "environ"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", until(t, dir, func(v View) bool { return v.PID > 0 }).PID, file))
		if strings.Contains(string(text), "hidden") {
			t.Errorf("the supervisor has them in its %s", file)
		}
	}
	Stop(dir, "test", 0)
	until(t, dir, ended)
}

func TestSecretsThatCannotBe(t *testing.T) {
	for _, kv := range []string{"TOKEN=hid\x00den", "a-b=hidden"} {
		dir := folder(t)
		p := counting(dir)
		p.Secrets = []string{kv}
		if err := Start(t.Context(), dir, p); err == nil || strings.Contains(err.Error(), "hid") || exists(dir, secretsFile) {
			t.Errorf("got %v", err)
		}
	}
}

// A starter that dies leaves its secrets to the next start, and a folder that is
// not going to be started loses them.
func TestSecretsOfADeadStart(t *testing.T) {
	for _, at := range []string{"prepared", "marked"} {
		dir := folder(t)
		crash := func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), crashIn+"="+dir, crashAt+"="+at)
			if cmd.Run() == nil || !exists(dir, secretsFile) {
				t.Fatalf("%s: the worker did not die with its secrets written", at)
			}
		}
		crash()
		if at == "prepared" {
			p := counting(dir)
			p.Secrets = nil
			start(t, dir, p)
			if v := until(t, dir, ended); v.Status != 8 || exists(dir, secretsFile) {
				t.Errorf("a later start without secrets had old ones: %+v", v)
			}
			dir = folder(t)
			crash()
		}
		if err := Stop(dir, "why", 0); err != nil || exists(dir, secretsFile) {
			t.Errorf("%s: they outlast a stop: %v", at, err)
		}
		if v := until(t, dir, ended); starts(dir) != 0 {
			t.Errorf("%s: got %+v after %d starts", at, v, starts(dir))
		}
	}
}

// Whenever a stop comes, nothing is left once the end is known.
func TestNoSecretOutlastsAStop(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	for range 30 {
		dir := folder(t)
		os.MkdirAll(dir, 0o700)
		pause := time.Duration(r.Intn(5000)) * time.Microsecond
		p := sh(dir, "exec sleep 300")
		p.Secrets = []string{"TOKEN=hidden"}
		var wg sync.WaitGroup
		wg.Go(func() { Start(context.Background(), dir, p) })
		wg.Go(func() { time.Sleep(pause); Stop(dir, "why", time.Hour) })
		wg.Wait()
		v := until(t, dir, ended)
		if found := traces(t, dir, "hidden"); len(found) > 0 {
			t.Fatalf("after %v: %+v, and %v", pause, v, found)
		}
	}
}
