package pyenv

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

func TestLines(t *testing.T) {
	const hash = "sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
	for _, c := range []struct {
		text     string
		packages []string
		want     string // joined by |, or what the error says
	}{
		{"", nil, ""},
		{"\uFEFF# all\r\n\r\n numpy == 2.1.0  # the newest\r\n\tscipy>=1,<2\r\n", nil, "numpy == 2.1.0|scipy>=1,<2"},
		{"b\na\n", []string{"c", " d[x,y]~=1.0 "}, "b|a|c|d[x,y]~=1.0"},
		{"six==1.16.0 \\\n    --hash=" + hash + "\n", nil, "six==1.16.0 --hash=" + hash},
		{"six \\\n# not joined further \\\n==1.16.0\n", nil, "requirements line 3"},
		{"six # \\\n-r x\n", nil, "six"},
		{"# only \\\nsix\n", nil, "six"},
		{"six\\", nil, "six"},
		{"tomli; python_version < \"3.11\"\n", nil, "tomli; python_version < \"3.11\""},
		{"--index-url https://pypi.example/simple\n--extra-index-url=https://a.example\n--pre\n-f https://w.example\n--only-binary=:all:\n--require-hashes\n", nil, "--index-url https://pypi.example/simple|--extra-index-url=https://a.example|--pre|-f https://w.example|--only-binary=:all:|--require-hashes"},
		{"x @ https://h.example/x-1-py3-none-any.whl#sha256=1\nhttps://h.example/y.zip\nz@git+https://h.example/z.git@v1\n", nil, "x @ https://h.example/x-1-py3-none-any.whl#sha256=1|https://h.example/y.zip|z@git+https://h.example/z.git@v1"},
		{"zope.interface (>=5)\n", nil, "zope.interface (>=5)"},

		{"numpy\n-r other.txt\n", nil, `requirements line 2, "-r other.txt", reads another file, and only this text reaches the target: write its lines out here`},
		{"-rother.txt", nil, "reads another file"},
		{"--requirement=other.txt", nil, "reads another file"},
		{"--req other.txt", nil, "reads another file"},
		{"-c limits.txt", nil, "reads another file"},
		{"--pre -r other.txt", nil, "reads another file"},
		{"--pre '-r' other.txt", nil, "has a quote"},
		{"numpy\x0c-r other.txt", nil, "cannot be seen"},
		{"numpy\u2028-r other.txt", nil, "cannot be seen"},
		{"numpy\r-r other.txt", nil, "cannot be seen"},
		{"-e .", nil, "installs a folder of this computer"},
		{"--editable=.", nil, "installs a folder of this computer"},
		{"--target /", nil, `has the option "--target", which cannot be used here: these can: -i --index-url`},
		{"six --target /", nil, `has the option "--target"`},
		{"-f ../wheels", nil, "names a path of one computer"},
		{"--find-links=/wheels", nil, "names a path of one computer"},
		{"--find-links file:///wheels", nil, "does not begin with https://"},
		{"./lib", nil, "is a path"},
		{"../lib", nil, "is a path"},
		{"/lib", nil, "is a path"},
		{"~/lib", nil, "is a path"},
		{"six-1.16.0-py2.py3-none-any.whl", nil, "is a path"},
		{"lib/six", nil, "is not a requirement"},
		{"file:///lib", nil, "does not begin with https://"},
		{"file:lib", nil, "is a path"},
		{"x @ file:///lib", nil, "does not begin with https://"},
		{"x @ ./lib", nil, "does not begin with https://"},
		{"git+ssh://git@h.example/x", nil, "does not begin with https://"},
		{"--index-url https://me:hunter2@pypi.example/simple", nil, `"--index-url https://****@pypi.example/simple", holds a password`},
		{"x @ https://me:hunter2@h.example/x.zip", nil, "holds a password"},
		{"?", nil, "is not a requirement"},
		{"numpy scipy", nil, "is not a requirement"},
		{"", []string{"-e ."}, `package "-e ." is not a requirement`},
		{"", []string{"six\n-e ."}, "is not a requirement"},
		{"", []string{" "}, "is not a requirement"},
		{"", []string{"# six"}, "is not a requirement"},
	} {
		lines, err := Lines(target.Python{Requirements: c.text, Packages: c.packages})
		got := strings.Join(lines, "|")
		if err != nil {
			if got = err.Error(); !errors.Is(err, target.ErrPermanent) || strings.Contains(got, "hunter2") {
				t.Errorf("%q: %v", c.text, err)
			}
		}
		if err == nil && got != c.want || err != nil && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%q %q: got %q, want %q", c.text, c.packages, got, c.want)
		}
	}
}

func TestName(t *testing.T) {
	for want, p := range map[string]target.Python{
		"no packages":                  {},
		"numpy, scikit-learn":          {Packages: []string{"numpy==2.1.0", "scikit-learn[x]"}},
		"a, b, c, 2 more":              {Requirements: "--pre\na\nb\n", Packages: []string{"c", "d", "e"}},
		"https://****@h.example/y.zip": {Requirements: "https://me@h.example/y.zip"},
	} {
		if got := Name(p); got != want {
			t.Errorf("%+v: got %q, want %q", p, got, want)
		}
	}
}

// What was taken is taken again unchanged, and nothing in it reaches beyond the text.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"six\n", "-r x", "a \\\n --hash=x", "# a \\\nb", "--pre -i https://x", "x @ https://y", "a\\\\\n-e .", "a#b", "a #b", "\\\n-r x"} {
		f.Add(s, "six")
	}
	f.Fuzz(func(t *testing.T, text, one string) {
		lines, err := Lines(target.Python{Requirements: text, Packages: []string{one}})
		if err != nil {
			if !errors.Is(err, target.ErrPermanent) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("%q %q: %v", text, one, err)
			}
			return
		}
		for _, l := range lines {
			for i, word := range strings.Fields(l) {
				if (strings.HasPrefix(word, "-r") || strings.HasPrefix(word, "-e") || strings.HasPrefix(word, "-c")) && !slices.Contains(strings.Fields(l)[:i], ";") {
					t.Fatalf("%q %q: took %q", text, one, l)
				}
			}
		}
		again, err := Lines(target.Python{Requirements: strings.Join(lines, "\n")})
		if err != nil || !slices.Equal(lines, again) {
			t.Fatalf("%q %q: %q was taken as %q, %v", text, one, lines, again, err)
		}
	})
}
