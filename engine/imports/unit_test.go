package imports

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a killed command left behind goes away, and what one is making now stays.
func TestSweep(t *testing.T) {
	cache := t.TempDir()
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "new": 0} {
		dir := filepath.Join(cache, "tmp", name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(dir, when, when); err != nil {
			t.Fatal(err)
		}
	}
	sweep(cache)
	left, _ := os.ReadDir(filepath.Join(cache, "tmp"))
	if len(left) != 1 || left[0].Name() != "new" {
		t.Error(left)
	}
}

func TestPlainName(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "a/b.py": true, "größe": true, "..": false, "a/../b": false, "/a": false, "": false, ".": false, "a\\b": false, "c:x": false, "a\nb": false, "a\x7f": false, ".git/config": false, "a/.GIT": false, ".gitignore": true, "a\xffb": false} {
		if plainName(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}
