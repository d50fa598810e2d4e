package expr

import "slices"

// Kind is the outermost part of a type.
type Kind int

// The kinds of values. File, Folder and Model are references to artifacts: they can be passed on and compared, but
// not taken apart. Artifact, as a wanted type, takes any of the three. Any is what is known only from the value.
const (
	Any Kind = iota
	Nothing
	Bool
	Int
	Number
	Text
	List
	Object
	File
	Folder
	Model
	Artifact
)

var kindWords = [...]string{
	Any: "anything", Nothing: "nothing", Bool: "true or false", Int: "a whole number", Number: "a number", Text: "text",
	List: "a list", Object: "an object", File: "a file", Folder: "a folder", Model: "a model", Artifact: "a file, folder or model",
}

// String names the kind as it is said to the user, article included.
func (k Kind) String() string { return kindWords[k] }

// Type is what is known about a value before it exists. The zero Type is anything, known when the plan is made.
type Type struct {
	Kind   Kind
	Elem   *Type           // of a List, or of every field of an Object without Fields; nil means anything
	Fields map[string]Type // of an Object: exactly these; nil means that the names are not known before the run
	Moment Moment          // when the value is known; an object is known when its last field is
	Names  *[]string       // the names of Fields, sorted, for an object with thousands of them; nil: they are sorted when they are wanted
}

// Scope holds the names that an expression may use.
type Scope struct {
	Names     map[string]Type
	Functions []string // functions without arguments that say true or false during the run: "always", "failed"
}

// String names the type as it is said to the user: "a list of text".
func (t Type) String() string {
	if t.Kind != List || t.Elem == nil || t.Elem.Kind == Any {
		return t.Kind.String()
	}
	if t.Elem.Kind == List {
		return "a list of lists"
	}
	return "a list of " + pluralWords[t.Elem.Kind]
}

var pluralWords = [...]string{
	Nothing: "nothing", Bool: "true or false", Int: "whole numbers", Number: "numbers", Text: "text", List: "lists",
	Object: "objects", File: "files", Folder: "folders", Model: "models", Artifact: "artifacts",
}

// Takes says whether a value of type u can stand where t is wanted. What is known only at run time is let through;
// Accept looks at it then.
func (t Type) Takes(u Type) bool {
	switch {
	case t.Kind == Any || u.Kind == Any:
		return true
	case t.Kind == Number && u.Kind == Int:
		return true
	case t.Kind == Artifact:
		return u.Kind == File || u.Kind == Folder || u.Kind == Model || u.Kind == Artifact
	case t.Kind == List && u.Kind == List && t.Elem != nil && u.Elem != nil:
		return t.Elem.Takes(*u.Elem)
	}
	return t.Kind == u.Kind
}

// latest is the moment when the whole value is known.
func (t Type) latest() Moment {
	last := t.Moment
	for _, field := range t.Fields {
		last = max(last, field.latest())
	}
	if t.Elem != nil {
		last = max(last, t.Elem.latest())
	}
	return last
}

func (t Type) elem() Type {
	if t.Elem == nil {
		return Type{}
	}
	return *t.Elem
}

func (t Type) known() []string {
	if t.Names != nil {
		return *t.Names
	}
	names := make([]string, 0, len(t.Fields))
	for name := range t.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// join is the type of a value that is either a or b.
func join(a, b Type) Type {
	switch {
	case a.Kind == Nothing:
		return b
	case b.Kind == Nothing:
		return a
	case a.Kind == List && b.Kind == List:
		elem := join(a.elem(), b.elem())
		return Type{Kind: List, Elem: &elem}
	case a.Kind == Object && b.Kind == Object:
		return Type{Kind: Object}
	case a.Kind == b.Kind:
		return a
	case a.isNumber() && b.isNumber():
		return Type{Kind: Number}
	}
	return Type{}
}

func (t Type) isNumber() bool   { return t.Kind == Int || t.Kind == Number }
func (t Type) isArtifact() bool { return t.Kind >= File }

// kinds is a set of kinds that something takes.
type kinds uint

func setOf(list ...Kind) kinds {
	var set kinds
	for _, k := range list {
		set |= 1 << k
	}
	return set
}

const anyKind = ^kinds(0)

// has says whether a value of kind k may be in the set; Any may.
func (s kinds) has(k Kind) bool {
	if k == Any || s&(1<<k) != 0 {
		return true
	}
	return k == Int && s&(1<<Number) != 0
}

// String lists the kinds for a sentence: "text or a list".
func (s kinds) String() string {
	if s == anyKind {
		return Any.String()
	}
	words := ""
	for k := range kindWords {
		if s&(1<<k) == 0 {
			continue
		}
		if words != "" {
			words += " or "
		}
		words += Kind(k).String()
	}
	return words
}
