package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

//go:embed *.schema.json
var files embed.FS

// Kinds returns the kinds of file that there are, which are also those of JSON.
func Kinds() []string { return []string{"pipeline", "workspace", "template", "test"} }

// JSON returns the JSON Schema (2020-12) of one kind of file, for editors and for
// people. It is false for a kind that there is not.
func JSON(kind string) ([]byte, bool) {
	text, err := files.ReadFile(kind + ".schema.json")
	return text, err == nil
}

// form is the schema of one kind of file, to check against and to look things up in.
type form struct {
	check *jsonschema.Schema
	doc   any
	fit   *fit // nil: everything goes to check
}

var pipelineForm = sync.OnceValue(func() form { return load("pipeline") })
var templateForm = sync.OnceValue(func() form { return load("template") })
var testForm = sync.OnceValue(func() form { return load("test") })
var workspaceForm = sync.OnceValue(func() form { return load("workspace") })

// load compiles an embedded schema. It panics when that is wrong, since it is part
// of the program; a test compiles all of them.
func load(kind string) form {
	text, ok := JSON(kind)
	if !ok {
		panic("no schema for " + kind)
	}
	f, err := compile(kind+".schema.json", text)
	if err != nil {
		panic(err)
	}
	f.fit = newFit(f.doc, f.doc, map[string]*fit{})
	return f
}

// compile reads a schema that is part of this program. It fetches nothing.
func compile(name string, text []byte) (form, error) {
	var f form
	if err := json.Unmarshal(text, &f.doc); err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	id, ok := asMap(f.doc)["$id"].(string)
	if !ok {
		id = name
	}
	compiler := jsonschema.NewCompiler()
	compiler.Draft = jsonschema.Draft2020
	compiler.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, errors.New("only the schemas in this program are read, not " + url)
	}
	if err := compiler.AddResource(id, bytes.NewReader(text)); err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	var err error
	f.check, err = compiler.Compile(id)
	return f, err
}

// at follows a JSON pointer through the schema.
func (f form) at(pointer string) map[string]any {
	v := f.doc
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		switch x := v.(type) {
		case map[string]any:
			v = x[unescape(step)]
		case []any:
			i := 0
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		}
	}
	m, _ := v.(map[string]any)
	return m
}
