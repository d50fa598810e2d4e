//go:build !slim

package cluster

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/server/common/headers"
)

func TestFileOfAnotherServerIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	startServer(t, dir).Stop()
	d := databaseIn(Options{Dir: dir})
	setVersion(t, d, "1.99.0")
	_, err := Start(testContext(t), Options{Dir: dir})
	if !errors.Is(err, ErrOtherVersion) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{d.path, "1.99.0", headers.ServerVersion, "move the file away"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	setVersion(t, d, headers.ServerVersion)
	startServer(t, dir)
}

func setVersion(t *testing.T, d database, version string) {
	t.Helper()
	err := d.open(func(db *sql.DB) error {
		_, err := db.Exec(`UPDATE amlflow_engine SET server = ?`, version)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnusableDatabaseIsNamedWithACure(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made")
	startServer(t, made).Stop()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		says  string
	}{
		"text":           {func(t *testing.T, dir string) { write(t, dir, []byte(strings.Repeat("not a database\n", 100))) }, "is damaged"},
		"a torn page":    {func(t *testing.T, dir string) { write(t, dir, torn(t, made)) }, "is damaged"},
		"cut in half":    {func(t *testing.T, dir string) { b := read(t, made); write(t, dir, b[:len(b)/2]) }, "is damaged"},
		"a folder":       {func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "engine.db")) }, "cannot be written"},
		"somebody's own": {foreign, "not an engine's"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.spoil(t, dir)
			_, err := Start(testContext(t), Options{Dir: dir})
			if !errors.Is(err, ErrDatabase) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Join(dir, "engine.db")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func read(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "engine.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// torn is a good file with garbage in one page, the root of a table that a start does not read.
func torn(t *testing.T, dir string) []byte {
	t.Helper()
	var page int
	err := databaseIn(Options{Dir: dir}).open(func(db *sql.DB) error {
		return db.QueryRow(`SELECT rootpage FROM sqlite_master WHERE name = 'executions_visibility'`).Scan(&page)
	})
	if err != nil {
		t.Fatal(err)
	}
	b := read(t, dir)
	for i := (page - 1) * 4096; i < page*4096; i++ {
		b[i] = byte(i * 7)
	}
	return b
}

func write(t *testing.T, dir string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "engine.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func foreign(t *testing.T, dir string) {
	t.Helper()
	err := databaseIn(Options{Dir: dir}).open(func(db *sql.DB) error {
		_, err := db.Exec(`CREATE TABLE recipes (name TEXT)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStateFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(testContext(t), Options{Dir: filepath.Join(file, "state")}); !errors.Is(err, ErrDatabase) || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	if _, err := Start(testContext(t), Options{}); err == nil || !strings.Contains(err.Error(), "state folder") {
		t.Errorf("got %v", err)
	}
}

// TestFullDiskSaysSo makes SQLite's own error for a full disk with a bound on the file's pages.
func TestFullDiskSaysSo(t *testing.T) {
	dir := t.TempDir()
	startServer(t, dir).Stop()
	d := databaseIn(Options{Dir: dir})
	err := d.open(func(db *sql.DB) error {
		var pages int
		if err := db.QueryRow(`PRAGMA max_page_count = 1`).Scan(&pages); err != nil { // as far as it can go: its size now
			return err
		}
		_, err := db.ExecContext(context.Background(), `CREATE TABLE more AS SELECT randomblob(1000000)`)
		return d.wrap(err)
	})
	if !errors.Is(err, ErrDatabase) || !strings.Contains(err.Error(), "is full: free some space") || !strings.Contains(err.Error(), d.path) {
		t.Errorf("got %v", err)
	}
}
