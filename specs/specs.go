// Package specs holds the templates that come with amlflow, with their scripts.
package specs

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed templates
var files embed.FS

// Templates are the files of the templates: NAME.template.yaml, and a folder for
// each that ships scripts.
func Templates() fs.FS {
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		panic(err) // the name is written above
	}
	return sub
}

// Names lists the templates, sorted.
func Names() []string {
	found, err := fs.Glob(Templates(), "*.template.yaml")
	if err != nil {
		panic(err) // the pattern is written above
	}
	names := make([]string, len(found))
	for i, name := range found {
		names[i] = strings.TrimSuffix(name, ".template.yaml")
	}
	return names
}
