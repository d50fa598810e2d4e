package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// fit answers whether a value is as a schema wants it, and nothing else: without
// telling where it is not, it needs no memory and little time. Almost every stage of
// a large file is right, so only the rest goes to the validator.
//
// It knows the keywords that the schemas of this program use; newFit panics at
// another one, and a test holds its answers against the validator's.
type fit struct {
	never                      bool // the schema false
	types                      []string
	required                   []string
	properties                 map[string]*fit
	additional                 *fit
	propertyNames              *fit
	items                      *fit
	not, when, then, otherwise *fit
	allOf, anyOf               []*fit
	pattern                    func() *regexp.Regexp
	enum                       []any
	least, most, above         *float64
	minLength                  int
	minItems, maxItems         int
	minKeys, maxKeys           int
	together                   map[string][]string
}

// annotations say nothing about a value.
var annotations = []string{"title", "description", "default", "examples", "$schema", "$id", "$defs", "$comment", "deprecated"}

// newFit reads one schema of doc. Refs are followed once, and may lead in circles.
func newFit(doc any, schema any, seen map[string]*fit) *fit {
	m, isMap := schema.(map[string]any)
	if !isMap {
		return &fit{never: schema == false}
	}
	if ref, ok := m["$ref"].(string); ok {
		return refFit(doc, m, ref, seen)
	}
	f := &fit{maxItems: math.MaxInt, maxKeys: math.MaxInt}
	f.read(doc, m, seen)
	return f
}

func refFit(doc any, m map[string]any, ref string, seen map[string]*fit) *fit {
	target := seen[ref]
	if target == nil {
		target = &fit{maxItems: math.MaxInt, maxKeys: math.MaxInt}
		seen[ref] = target
		target.read(doc, (form{doc: doc}).at(strings.TrimPrefix(ref, "#")), seen)
	}
	for key := range m {
		if key != "$ref" && !slices.Contains(annotations, key) {
			panic(fmt.Sprintf("the keyword %q beside $ref is not read", key))
		}
	}
	return target
}

func (f *fit) read(doc any, m map[string]any, seen map[string]*fit) {
	one := func(v any) *fit { return newFit(doc, v, seen) }
	for key, v := range m {
		switch key {
		case "type":
			f.types = typesOf(v)
		case "required":
			f.required = texts(v)
		case "properties":
			f.properties = map[string]*fit{}
			for name, property := range asMap(v) {
				f.properties[name] = one(property)
			}
		case "additionalProperties":
			f.additional = one(v)
		case "propertyNames":
			f.propertyNames = one(v)
		case "items":
			f.items = one(v)
		case "not":
			f.not = one(v)
		case "if":
			f.when = one(v)
		case "then":
			f.then = one(v)
		case "else":
			f.otherwise = one(v)
		case "allOf", "anyOf":
			for _, part := range asList(v) {
				if key == "allOf" {
					f.allOf = append(f.allOf, one(part))
				} else {
					f.anyOf = append(f.anyOf, one(part))
				}
			}
		case "dependentRequired":
			f.together = map[string][]string{}
			for name, needs := range asMap(v) {
				f.together[name] = texts(needs)
			}
		default:
			f.readBound(key, v)
		}
	}
}

func (f *fit) readBound(key string, v any) {
	n, _ := v.(float64)
	switch key {
	case "pattern":
		f.pattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(fmt.Sprint(v)) })
	case "enum":
		f.enum = asList(v)
	case "const":
		f.enum = []any{v}
	case "minimum":
		f.least = &n
	case "maximum":
		f.most = &n
	case "exclusiveMinimum":
		f.above = &n
	case "minLength":
		f.minLength = int(n)
	case "minItems":
		f.minItems = int(n)
	case "maxItems":
		f.maxItems = int(n)
	case "minProperties":
		f.minKeys = int(n)
	case "maxProperties":
		f.maxKeys = int(n)
	default:
		if !slices.Contains(annotations, key) {
			panic(fmt.Sprintf("the keyword %q is not read", key))
		}
	}
}

func texts(v any) []string {
	var list []string
	for _, item := range asList(v) {
		list = append(list, fmt.Sprint(item))
	}
	return list
}

// holds reports whether v is as f wants it.
func (f *fit) holds(v any) bool {
	switch {
	case f == nil:
		return true
	case f.never || len(f.types) > 0 && !f.typed(v):
		return false
	case f.enum != nil && !slices.ContainsFunc(f.enum, func(one any) bool { return equal(one, v) }):
		return false
	case !f.combined(v):
		return false
	}
	switch x := v.(type) {
	case map[string]any:
		return f.holdsMap(x)
	case []any:
		return f.holdsList(x)
	case string:
		return f.holdsText(x)
	}
	n, ok := number(v)
	return !ok || (f.least == nil || n >= *f.least) && (f.most == nil || n <= *f.most) && (f.above == nil || n > *f.above)
}

func (f *fit) typed(v any) bool {
	for _, t := range f.types {
		ok := false
		switch x := v.(type) {
		case nil:
			ok = t == "null"
		case string:
			ok = t == "string"
		case bool:
			ok = t == "boolean"
		case map[string]any:
			ok = t == "object"
		case []any:
			ok = t == "array"
		case float64:
			ok = t == "number" || t == "integer" && x == math.Trunc(x)
		default:
			ok = t == "number" || t == "integer"
		}
		if ok {
			return true
		}
	}
	return false
}

func (f *fit) combined(v any) bool {
	for _, part := range f.allOf {
		if !part.holds(v) {
			return false
		}
	}
	if len(f.anyOf) > 0 && !slices.ContainsFunc(f.anyOf, func(part *fit) bool { return part.holds(v) }) {
		return false
	}
	if f.not != nil && f.not.holds(v) {
		return false
	}
	if f.when == nil {
		return true
	}
	if f.when.holds(v) {
		return f.then.holds(v)
	}
	return f.otherwise.holds(v)
}

func (f *fit) holdsMap(m map[string]any) bool {
	if len(m) < f.minKeys || len(m) > f.maxKeys {
		return false
	}
	for _, name := range f.required {
		if _, ok := m[name]; !ok {
			return false
		}
	}
	for has, needs := range f.together {
		if _, ok := m[has]; ok && slices.ContainsFunc(needs, func(name string) bool { _, there := m[name]; return !there }) {
			return false
		}
	}
	for name, v := range m {
		if f.propertyNames != nil && !f.propertyNames.holdsText(name) {
			return false
		}
		part, known := f.properties[name]
		if !known {
			part = f.additional
		}
		if !part.holds(v) {
			return false
		}
	}
	return true
}

func (f *fit) holdsList(list []any) bool {
	if len(list) < f.minItems || len(list) > f.maxItems {
		return false
	}
	for _, item := range list {
		if !f.items.holds(item) {
			return false
		}
	}
	return true
}

func (f *fit) holdsText(text string) bool {
	return (f.minLength == 0 || utf8.RuneCountInString(text) >= f.minLength) && (f.pattern == nil || f.pattern().MatchString(text))
}

// unfit is a file without those of its stages that are as they should be, for the
// validator to say what is wrong with the rest; nil when nothing is. Of very many it
// takes the first, since it takes its time with each.
func (f form) unfit(s *Source) any {
	tree := s.Tree
	if f.fit == nil {
		return tree
	}
	if f.fit.holds(tree) {
		return nil
	}
	file := map[string]any{}
	for key, v := range asMap(tree) {
		file[key] = v
		part := f.fit.properties[key]
		if stages := asMap(v); len(stages) > 0 && part != nil && (key == "stages" || key == "finally") {
			file[key] = part.unfit(stages, s.Keys("/"+key))
		}
	}
	if len(file) == 0 {
		return tree
	}
	return file
}

// unfit leaves out the stages that hold, but for one: there must be one.
func (f *fit) unfit(stages map[string]any, names []string) map[string]any {
	rest, one := map[string]any{}, ""
	for _, name := range names {
		stage := stages[name]
		if len(rest) > 2*maxFindings {
			break
		}
		if (f.propertyNames == nil || f.propertyNames.holdsText(name)) && f.additional.holds(stage) {
			if one == "" || name < one {
				one = name
			}
			continue
		}
		rest[name] = stage
	}
	if len(rest) == 0 {
		rest[one] = stages[one]
	}
	return rest
}
