package schema_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema"
)

const (
	someCommit = "0123456789abcdef0123456789abcdef01234567"
	someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func entry(ref string) schema.Locked {
	return schema.Locked{Ref: ref, Commit: someCommit, Digest: someDigest}
}

func TestLockBytesAreStable(t *testing.T) {
	var a, b schema.Lock
	one, two := entry("git+https://h/r//a.yaml@v1"), entry("git+https://h/r//b.yaml@v1")
	a.Set(one)
	a.Set(two)
	b.Set(two)
	b.Set(entry("git+ssh://git@h/r//z.yaml@v1"))
	b.Set(one)
	b.Set(one)
	b.Remove("git+ssh://git@h/r//z.yaml@v1")
	b.Remove("never there")
	if d := cmp.Diff(string(a.Bytes()), string(b.Bytes())); d != "" {
		t.Error(d)
	}
	file := filepath.Join(t.TempDir(), schema.LockName)
	if err := a.Write(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read, fs := schema.ReadLock(file, data)
	if len(fs) > 0 {
		t.Error(fs)
	}
	if d := cmp.Diff(a.Entries, read.Entries); d != "" {
		t.Error(d)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) != 1 {
		t.Error("files were left behind:", left)
	}
	if _, fs := schema.ReadLock("empty", new(schema.Lock).Bytes()); len(fs) > 0 {
		t.Error(fs)
	}
}

// Mistakes by hand and by merges have a place and a cure.
func TestLockMistakes(t *testing.T) {
	good := string((&schema.Lock{Entries: []schema.Locked{entry("git+https://h/r//a.yaml@v1")}}).Bytes())
	for name, c := range map[string]struct {
		text, code string
		line       int
	}{
		"a merge left its marks": {strings.Replace(good, "    commit", "<<<<<<< ours\n    commit", 1), "yaml-syntax", 5},
		"the same twice":         {good + "  \"git+https://h/r//a.yaml@v1\":\n    commit: \"" + someCommit + "\"\n    digest: \"" + someDigest + "\"\n", "duplicate-key", 7},
		"a short commit":         {strings.Replace(good, someCommit, "0123456", 1), "wrong-value", 5},
		"a digest of its own":    {strings.Replace(good, "sha256:", "md5:", 1), "wrong-value", 6},
		"a key too many":         {good + "    commmit: x\n", "unknown-key", 7},
		"no digest":              {strings.Replace(good, "    digest: \""+someDigest+"\"\n", "", 1), "missing-key", 4},
		"a path":                 {strings.Replace(good, "git+https://h/r//a.yaml@v1", "./a.yaml", 1), "bad-reference", 4},
		"another form":           {strings.Replace(good, "git+https://h/", "git+https://H/", 1), "bad-reference", 4},
		"a password":             {strings.Replace(good, "git+https://h/", "git+https://a:b@h/", 1), "bad-reference", 4},
		"a list":                 {"amlflow: v1\ntemplates: []\n", "wrong-type", 2},
		"nothing":                {"", "empty-file", 1},
		"a pipeline":             {"amlflow: v1\npipeline: x\n", "other-file", 2},
	} {
		_, fs := schema.ReadLock("amlflow.lock", []byte(c.text))
		if !fs.Bad() || !has(fs, c.code) {
			t.Errorf("%s: want %s, got %v", name, c.code, fs)
			continue
		}
		for _, f := range fs {
			if f.Hint == "" || string(f.Code) == c.code && f.Line != c.line {
				t.Errorf("%s: want line %d and a cure: %v", name, c.line, f)
			}
		}
	}
}

// What is read without a finding is written as it was read.
func FuzzReadLock(f *testing.F) {
	f.Add((&schema.Lock{Entries: []schema.Locked{entry("git+https://h/r//a.yaml@v1"), entry("git+file:///r//b.yaml@main")}}).Bytes())
	f.Add([]byte("amlflow: v1\ntemplates: {}\n"))
	f.Add([]byte("amlflow: v1\ntemplates:\n  git+https://h/r//x@v: &a { commit: 0, digest: x }\n  b: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, fs := schema.ReadLock("amlflow.lock", data)
		if fs.Bad() {
			return
		}
		again, fs := schema.ReadLock("amlflow.lock", l.Bytes())
		if len(fs) > 0 || !bytes.Equal(again.Bytes(), l.Bytes()) {
			t.Fatalf("%q becomes %q: %v", data, l.Bytes(), fs)
		}
	})
}
