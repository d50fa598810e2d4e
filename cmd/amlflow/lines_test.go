package main

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// However what is written is cut, the same lines come out.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.StringMatching(`[ab\n\x00]{0,5}`)).Draw(t, "pieces")
		tail := rapid.IntRange(-1, 3).Draw(t, "tail")
		var out bytes.Buffer
		l := newLines(&out, tail)
		l.prefix = "> "
		for _, piece := range pieces {
			if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := l.flush(true); err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(strings.Join(pieces, ""), "\n"), "\n")
		if strings.Join(pieces, "") == "" {
			want = nil
		}
		if tail >= 0 {
			want = want[max(0, len(want)-tail):]
		}
		if got := out.String(); got != joined(want) {
			t.Fatalf("got %q, want %q", got, joined(want))
		}
	})
}

func joined(all []string) string {
	var b strings.Builder
	for _, line := range all {
		b.WriteString("> " + line + "\n")
	}
	return b.String()
}

// A line that is not whole waits for its end; one that is too long does not.
func TestLongLines(t *testing.T) {
	var out bytes.Buffer
	l := newLines(&out, -1)
	write := func(text string) string {
		t.Helper()
		out.Reset()
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := l.flush(false); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	full := strings.Repeat("x", maxLine)
	if got := write("half"); got != "" {
		t.Errorf("half a line: %q", got)
	}
	if got := write(" done\n"); got != "half done\n" {
		t.Errorf("its other half: %q", got)
	}
	if got := write(full + "\n"); got != full+"\n" {
		t.Errorf("the longest line: %d bytes", len(got))
	}
	if got := write(full + full + "y\n"); got != full+"\n"+full+"\ny\n" {
		t.Errorf("a longer line: %d bytes", len(got))
	}
}
