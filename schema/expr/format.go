package expr

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxFormatted bounds the text of one value, and maxNested its depth: both are far beyond what an environment takes.
const (
	maxFormatted = 1 << 20
	maxNested    = 64
)

// Format is the one way in which a value becomes text, in an environment variable or inside other text: text stays
// as it is, whole numbers have no exponent, other numbers are the shortest text that reads back as the same number,
// truth is true or false, nil is empty, and a list or an object is compact JSON with sorted names.
func Format(v any) (string, error) {
	w := &writer{spend: func(int) error { return nil }}
	if err := w.plain(v); err != nil {
		return "", err
	}
	text := w.String()
	if strings.IndexByte(text, 0) >= 0 {
		return "", &Error{Code: CodeValue, Message: "the text holds a NUL byte, which no environment variable or argument can"}
	}
	return text, nil
}

// writer turns values into text. spend is asked before each part is written: lists can share their parts, so that a
// small value may have a very long text.
type writer struct {
	strings.Builder
	spend func(steps int) error
}

// plain writes a value as Format describes.
func (w *writer) plain(v any) error {
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		return w.add(x)
	}
	return w.json(v, 0)
}

func (w *writer) add(text string) error {
	if w.Len()+len(text) > maxFormatted {
		return fmt.Errorf("the text of the value is longer than %d bytes", maxFormatted)
	}
	w.WriteString(text)
	return w.spend(len(text) / stepBytes)
}

// json writes canonical JSON: compact, names sorted, nothing escaped that need not be.
func (w *writer) json(v any, depth int) error {
	if err := w.spend(1); err != nil {
		return err
	}
	if depth > maxNested {
		return fmt.Errorf("the value nests deeper than %d", maxNested)
	}
	switch x := v.(type) {
	case nil:
		return w.add("null")
	case bool:
		return w.add(fmt.Sprint(x))
	case string:
		return w.quoted(x)
	case []any:
		return w.list(x, depth)
	case map[string]any:
		return w.object(x, depth)
	}
	n, err := numberOf(v)
	if err != nil {
		return err
	}
	return w.add(n.text())
}

func (w *writer) quoted(text string) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return err
	}
	return w.add(strings.TrimSuffix(b.String(), "\n"))
}

func (w *writer) list(items []any, depth int) error {
	w.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			w.WriteByte(',')
		}
		if err := w.json(item, depth+1); err != nil {
			return err
		}
	}
	w.WriteByte(']')
	return nil
}

func (w *writer) object(fields map[string]any, depth int) error {
	w.WriteByte('{')
	for i, name := range sortedKeys(fields) {
		if i > 0 {
			w.WriteByte(',')
		}
		if err := w.quoted(name); err != nil {
			return err
		}
		w.WriteByte(':')
		if err := w.json(fields[name], depth+1); err != nil {
			return err
		}
	}
	w.WriteByte('}')
	return nil
}
