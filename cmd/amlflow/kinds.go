package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/engine"
)

// The ends of the names of files of the language. A workspace is known by its whole name.
const (
	pipelineSuffix = ".pipeline.yaml"
	templateSuffix = ".template.yaml"
	testSuffix     = ".test.yaml"
)

func isTest(file string) bool { return strings.HasSuffix(file, testSuffix) }

func isWorkspace(file string) bool {
	base := filepath.Base(file)
	return base == "amlflow.yaml" || base == "amlflow.yml"
}

// isLanguage reports whether file holds anything of the language.
func isLanguage(file string) bool {
	return strings.HasSuffix(file, pipelineSuffix) || strings.HasSuffix(file, templateSuffix) || isTest(file) || isWorkspace(file)
}

// filesIn replaces each folder by the files below it that are wanted. Hidden folders
// are left out.
func filesIn(args []string, wanted func(path string) bool, what string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if arg == stdin || err != nil || !info.IsDir() {
			files = append(files, arg) // reading it will say what is wrong
			continue
		}
		before := len(files)
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != arg && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.Type().IsRegular() && wanted(path):
				files = append(files, engine.Shorter(path)) // as findings of other files name it
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, fmt.Errorf("there is no %s below %q: name a file: %w", what, arg, fs.ErrNotExist)
		}
	}
	return files, nil
}
