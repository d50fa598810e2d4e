package schema

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema/diag"
)

// found checks that each finding has a place and words, when it is in the file itself.
func found(t *testing.T, data []byte, s *Source, fs diag.Findings) {
	t.Helper()
	for _, x := range fs {
		if x.Line < 1 || x.Col < 1 || x.File == s.Name && x.Line > len(s.lines) || x.Code == "" || x.Message == "" || x.Hint == "" || x.Severity == "" {
			t.Fatalf("%q: a finding without place or words: %#v", data, x)
		}
	}
}

func FuzzReadPipeline(f *testing.F) {
	addFiles(f)
	folder := os.DirFS("testdata/folder")
	im := FolderImporter{Files: folder, Beside: folder}
	text, err := os.ReadFile("testdata/folder/amlflow.yaml")
	if err != nil {
		f.Fatal(err)
	}
	w, _ := ReadWorkspace("amlflow.yaml", text)
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func() (*Pipeline, diag.Findings) {
			p, fs := ReadPipeline("f", data)
			fs = append(fs, p.Link(im)...)
			return p, append(fs, Check(p, w, folder)...).Sort()
		}
		p, fs := read()
		found(t, data, p.Source, fs)
		_, more := read()
		if d := cmp.Diff(fs, more); d != "" {
			t.Fatalf("%q: the second time the findings differ: %s", data, d)
		}
		agree(t, "f", data)
		own, fs := ReadWorkspace("f", data)
		found(t, data, own.Source, fs)
	})
}

func FuzzReadTemplate(f *testing.F) {
	addFiles(f)
	folder := os.DirFS("testdata/folder")
	f.Fuzz(func(t *testing.T, data []byte) {
		tpl, fs := ReadTemplate("f", data)
		fs = append(fs, tpl.Link(FolderImporter{Files: folder})...)
		fs = append(fs, tpl.Check(nil)...).Sort()
		found(t, data, tpl.Source, fs)
	})
}
