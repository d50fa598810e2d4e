package main

import (
	"fmt"
	"os"
	"strings"
)

// The marks around the part of a page that this program writes.
const (
	sectionBegin = "<!-- bench: begin; written by `task bench -- --write` -->\n"
	sectionEnd   = "<!-- bench: end -->\n"
)

// rewriteSection replaces the marked part of a file.
func rewriteSection(file, text string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("run bench where docs is: %w", err)
	}
	out, err := replaceSection(string(page), text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(out), 0o644)
}

// replaceSection puts text between the marks of a page.
func replaceSection(page, text string) (string, error) {
	head, rest, ok := strings.Cut(page, sectionBegin)
	_, tail, closed := strings.Cut(rest, sectionEnd)
	if !ok || !closed {
		return "", fmt.Errorf("there is no part between %q and %q to replace", strings.TrimSpace(sectionBegin), strings.TrimSpace(sectionEnd))
	}
	return head + sectionBegin + "\n" + text + "\n" + sectionEnd + tail, nil
}
