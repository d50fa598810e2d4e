//go:build !slim

package cluster

import (
	"errors"
	"fmt"
	"strings"

	driver "modernc.org/sqlite"
)

// SQLite's primary result codes, https://www.sqlite.org/rescode.html.
const (
	codeError    = 1
	codeBusy     = 5
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// sqliteCode is the primary result code, 0 when the error is not SQLite's.
func sqliteCode(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// wrap says which file it is and what to do.
func (d database) wrap(err error) error {
	if err == nil {
		return nil
	}
	if cure := cureFor(err, d.path); cure != "" {
		return fmt.Errorf("%w: %s: %w", ErrDatabase, cure, err)
	}
	return fmt.Errorf("%w: %q: %w", ErrDatabase, d.path, err)
}

// cureFor is what a person can do about an error of the database at the path; empty when there is nothing to say.
func cureFor(err error, path string) string {
	switch code := sqliteCode(err); {
	case code == codeFull || says(err, "database or disk is full"):
		return fmt.Sprintf("the disk of %q is full: free some space; runs go on from where they are", path)
	case isDamage(err):
		return damaged(path)
	case code == codeReadOnly || code == codeCantOpen:
		return fmt.Sprintf("%q cannot be written: check who owns it and its folder, and whether the disk is mounted read-only", path)
	case code == codeIO:
		return fmt.Sprintf("the disk of %q does not read or write: check it, and the space that is left", path)
	case code == codeBusy:
		return fmt.Sprintf("%q is locked by another program: close what has it open", path)
	}
	return ""
}

func damaged(path string) string {
	return fmt.Sprintf("%q is damaged: put a copy of it back, or move it away (with its -wal and -shm files) and a new one is made", path)
}

func isDamage(err error) bool {
	code := sqliteCode(err)
	return code == codeCorrupt || code == codeNotADB || says(err, "database disk image is malformed")
}

// says looks at the text, as the server hands some errors on as nothing else.
func says(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
