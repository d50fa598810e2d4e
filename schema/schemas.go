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
	check func() *jsonschema.Schema // compiled when first asked for, which takes longer than reading most files
	doc   any
	fit   *fit // nil: everything goes to check
}

var pipelineForm = sync.OnceValue(func() form { return load("pipeline") })
var templateForm = sync.OnceValue(func() form { return load("template") })
var testForm = sync.OnceValue(func() form { return load("test") })
var workspaceForm = sync.OnceValue(func() form { return load("workspace") })

// load reads an embedded schema. It panics when that is wrong, since it is part of
// the program; a test compiles all of them.
func load(kind string) form {
	text, ok := JSON(kind)
	if !ok {
		panic("no schema for " + kind)
	}
	f := newForm(kind+".schema.json", text)
	f.fit = newFit(f.doc, f.doc, map[string]*fit{})
	return f
}

// newForm reads a schema that is part of this program, and panics when it is wrong.
func newForm(name string, text []byte) form {
	var f form
	if err := json.Unmarshal(text, &f.doc); err != nil {
		panic(fmt.Errorf("%s: %w", name, err))
	}
	f.check = sync.OnceValue(func() *jsonschema.Schema {
		check, err := compile(name, f.doc, text)
		if err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		return check
	})
	return f
}

// compile makes the validator of a schema. It fetches nothing.
func compile(name string, doc any, text []byte) (*jsonschema.Schema, error) {
	id, ok := asMap(doc)["$id"].(string)
	if !ok {
		id = name
	}
	compiler := jsonschema.NewCompiler()
	compiler.Draft = jsonschema.Draft2020
	compiler.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, errors.New("only the schemas in this program are read, not " + url)
	}
	if err := compiler.AddResource(id, bytes.NewReader(text)); err != nil {
		return nil, err
	}
	return compiler.Compile(id)
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
