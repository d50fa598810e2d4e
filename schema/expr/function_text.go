package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

var text = setOf(Text)

var textFunctions = map[string]function{
	"upper":       mapping(strings.ToUpper),
	"lower":       mapping(strings.ToLower),
	"trim":        trimming(strings.TrimSpace, strings.Trim),
	"trimPrefix":  cutting(strings.TrimPrefix),
	"trimSuffix":  cutting(strings.TrimSuffix),
	"hasPrefix":   asking(strings.HasPrefix),
	"hasSuffix":   asking(strings.HasSuffix),
	"indexOf":     finding(strings.Index),
	"lastIndexOf": finding(strings.LastIndex),
	"split":       {takes: []kinds{text, text}, required: 2, gives: always(Type{Kind: List, Elem: &Type{Kind: Text}}), apply: split},
	"join":        {takes: []kinds{setOf(List), text}, required: 1, gives: always(Type{Kind: Text}), apply: joinText},
	"replace":     {takes: []kinds{text, text, text}, required: 3, gives: always(Type{Kind: Text}), apply: replace},
	"string":      {takes: []kinds{setOf(Nothing, Bool, Number, Text, List, Object)}, required: 1, gives: always(Type{Kind: Text}), apply: toText},
	"toJSON":      {takes: []kinds{setOf(Nothing, Bool, Number, Text, List, Object)}, required: 1, gives: always(Type{Kind: Text}), apply: toJSON},
	"fromJSON":    {takes: []kinds{text}, required: 1, gives: always(Type{}), apply: fromJSON},
}

// mapping pays for three times the text before it is made: a letter can grow that much when its case changes.
func mapping(f func(string) string) function {
	return function{takes: []kinds{text}, required: 1, gives: always(Type{Kind: Text}), apply: func(m *machine, args []any) (any, error) {
		s := args[0].(string)
		if err := m.spend(3 * len(s) / stepBytes); err != nil {
			return nil, err
		}
		out := f(s)
		return out, m.room(len(out))
	}}
}

func trimming(spaces func(string) string, chars func(string, string) string) function {
	return function{takes: []kinds{text, text}, required: 1, gives: always(Type{Kind: Text}), apply: func(m *machine, args []any) (any, error) {
		s := args[0].(string)
		if len(args) == 1 {
			return spaces(s), m.spend(len(s) / stepBytes)
		}
		cut := args[1].(string)
		if len(cut) > stepBytes {
			return nil, fmt.Errorf("the characters to trim are more than %d bytes", stepBytes)
		}
		return chars(s, cut), m.spend(len(s) * (1 + len(cut)/8) / stepBytes)
	}}
}

func cutting(f func(s, part string) string) function {
	return function{takes: []kinds{text, text}, required: 2, gives: always(Type{Kind: Text}), apply: func(m *machine, args []any) (any, error) {
		s, part := args[0].(string), args[1].(string)
		return f(s, part), m.spend(len(part) / stepBytes)
	}}
}

func asking(f func(s, part string) bool) function {
	return function{takes: []kinds{text, text}, required: 2, gives: always(Type{Kind: Bool}), apply: func(m *machine, args []any) (any, error) {
		s, part := args[0].(string), args[1].(string)
		return f(s, part), m.spend(len(part) / stepBytes)
	}}
}

// finding counts in characters, as len and [from:to] do.
func finding(f func(s, part string) int) function {
	return function{takes: []kinds{text, text}, required: 2, gives: always(Type{Kind: Int}), apply: func(m *machine, args []any) (any, error) {
		s, part := args[0].(string), args[1].(string)
		if err := m.spend(len(s) / (stepBytes / 8)); err != nil {
			return nil, err
		}
		at := f(s, part)
		if at < 0 {
			return at, nil
		}
		return utf8.RuneCountInString(s[:at]), nil
	}}
}

func split(m *machine, args []any) (any, error) {
	s, sep := args[0].(string), args[1].(string)
	if err := m.spend(len(s) / stepBytes); err != nil {
		return nil, err
	}
	if err := m.space(strings.Count(s, sep) + 1); err != nil {
		return nil, err
	}
	items := []any{}
	for _, part := range strings.Split(s, sep) {
		items = append(items, part)
	}
	return items, nil
}

func joinText(m *machine, args []any) (any, error) {
	sep := ""
	if len(args) == 2 {
		sep = args[1].(string)
	}
	var b strings.Builder
	for i, item := range args[0].([]any) {
		s, ok := item.(string)
		if !ok {
			k, _ := kindOf(item)
			return nil, &Error{Code: CodeType, Message: fmt.Sprintf("join() takes a list of text, and item %d is %s", i, k), Hint: "write list | map(string(#)) | join(…)"}
		}
		if i > 0 {
			s = sep + s
		}
		if err := m.room(b.Len() + len(s)); err != nil {
			return nil, err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func replace(m *machine, args []any) (any, error) {
	s, from, to := args[0].(string), args[1].(string), args[2].(string)
	if err := m.spend(len(s) / stepBytes); err != nil {
		return nil, err
	}
	if err := m.room(len(s) + strings.Count(s, from)*(len(to)-len(from))); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(s, from, to), nil
}

func toText(m *machine, args []any) (any, error) { return m.written(args[0], (*writer).plain) }

func toJSON(m *machine, args []any) (any, error) {
	return m.written(args[0], func(w *writer, v any) error { return w.json(v, 0) })
}

// written turns a value into text within the bounds of a text.
func (m *machine) written(v any, write func(*writer, any) error) (any, error) {
	w := &writer{}
	w.spend = func(steps int) error {
		if w.Len() > MaxText {
			return m.room(w.Len())
		}
		return m.spend(steps)
	}
	if err := write(w, v); err != nil {
		return nil, err
	}
	return w.String(), m.room(w.Len())
}

// fromJSON pays for each byte: a byte of JSON can be a value of its own.
func fromJSON(m *machine, args []any) (any, error) {
	s := args[0].(string)
	if err := m.spend(len(s) / 4); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(s)))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("the text is not JSON: %s", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the text is JSON, with something more after it")
	}
	c := copier{parts: MaxList, bytes: MaxText}
	return c.copy(v, 0)
}
