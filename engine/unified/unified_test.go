package unified

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"a\n", "a\n", ""},
		{"", "a\n", "--- x\n+++ y\n@@ -0,0 +1 @@\n+a\n"},
		{"a\n", "", "--- x\n+++ y\n@@ -1 +0,0 @@\n-a\n"},
		{"a", "a\n", "--- x\n+++ y\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "--- x\n+++ y\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"},
		{"a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", "--- x\n+++ y\n@@ -1,7 +1,6 @@\n-a\n-b\n c\n-a\n b\n+a\n b\n a\n+c\n"},
	} {
		if d := cmp.Diff(c.want, Diff("x", "y", c.from, c.to)); d != "" {
			t.Errorf("%q to %q: -want +got\n%s", c.from, c.to, d)
		}
	}
}

// Whatever the texts are, the diff turns one into the other.
func TestDiffTurnsOneIntoTheOther(t *testing.T) {
	line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n", "\n", "}\n"})
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SliceOf(line).Draw(t, "from"), rapid.SliceOf(line).Draw(t, "to")
		a, b := strings.Join(from, ""), strings.Join(to, "")+rapid.SampledFrom([]string{"", "z"}).Draw(t, "end")
		got := patch(t, a, Diff("x", "y", a, b))
		if got != b {
			t.Fatalf("%q with\n%s\nbecomes %q, want %q", a, Diff("x", "y", a, b), got, b)
		}
	})
}

type failer interface{ Fatalf(string, ...any) }

// patch applies a diff.
func patch(t failer, text, diff string) string {
	if diff == "" {
		return text
	}
	var out strings.Builder
	in, at, sign := lines(text), 0, byte(0)
	for _, l := range lines(diff)[2:] {
		switch {
		case strings.HasPrefix(l, "@@"):
			var from int
			if _, err := fmt.Sscanf(l, "@@ -%d", &from); err != nil {
				t.Fatalf("%v", err)
			}
			if !strings.Contains(l, ",0 +") {
				from--
			}
			for ; at < from; at++ {
				out.WriteString(in[at])
			}
		case l[0] == '\\':
			if s := out.String(); sign != '-' {
				out.Reset()
				out.WriteString(strings.TrimSuffix(s, "\n"))
			}
		case l[0] == '+':
			out.WriteString(l[1:])
		default:
			if strings.TrimSuffix(in[at], "\n") != strings.TrimSuffix(l[1:], "\n") {
				t.Fatalf("line %d is %q and not %q", at, in[at], l[1:])
			}
			if at++; l[0] == ' ' {
				out.WriteString(l[1:])
			}
		}
		sign = l[0]
	}
	for ; at < len(in); at++ {
		out.WriteString(in[at])
	}
	return out.String()
}

// Texts too large for the table are cut where they can be.
func TestDiffOfLargeTexts(t *testing.T) {
	var a, b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&a, "line %d\n}\n", i)
		if i%1000 != 500 {
			fmt.Fprintf(&b, "line %d\n}\n", i)
		}
	}
	d := Diff("x", "y", a.String(), b.String())
	if got := patch(t, a.String(), d); got != b.String() {
		t.Error("the diff does not lead to the other text")
	}
	if n := strings.Count(d, "\n-"); n > 100 {
		t.Errorf("%d lines are removed for 40", n)
	}
	same := strings.Repeat("x\n", 30_000)
	if got := patch(t, same, Diff("x", "y", same, "y\n"+same+same+"z\n")); got != "y\n"+same+same+"z\n" {
		t.Error("the diff does not lead to the other text")
	}
}
