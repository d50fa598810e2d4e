package schema

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Every example of the repository is silent, with the files and the workspace beside it.
func TestEveryExampleIsSilent(t *testing.T) {
	files, err := filepath.Glob("../specs/examples/*/*.pipeline.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("got %q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, found := ReadPipeline(filepath.Base(file), text)
		w := DefaultWorkspace(filepath.Dir(file))
		text, err = os.ReadFile(filepath.Join(filepath.Dir(file), "amlflow.yaml"))
		if err == nil {
			read, more := ReadWorkspace("amlflow.yaml", text)
			w, found = read, append(found, more...)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if found = append(found, Check(p, w, os.DirFS(filepath.Dir(file)))...); len(found) > 0 {
			t.Errorf("%s: %v", file, found)
		}
	}
}
