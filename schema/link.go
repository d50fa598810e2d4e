package schema

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// The bounds of files that use each other. Each file may be as large as maxBytes, and
// be named by all the stages of others.
const (
	MaxNested   = 10       // how deep they may use each other
	maxLinked   = 12 << 20 // bytes of all of them
	maxUnlinked = 200      // names that lead nowhere; each is compared with what is there
)

// Import is where a file came from that another one names. It is zero for the file
// that a person named.
type Import struct {
	Ref    string // as it was written
	Key    string // tells files apart, however they were named
	Folder string // the absolute folder that the file lies in; whoever ships code looks there
	Files  fs.FS  // that folder; nil: what lies beside the file is not looked at
	Origin any    // the importer's own note, for files that this one names
}

// Importer finds the files that `uses` and `pipeline` name. Kind is "template" or
// "pipeline", and from is where the file came from that names it. A problem needs a
// code, a message and a hint; its place is filled in.
type Importer interface {
	Import(kind, ref string, from Import) (name string, text []byte, in Import, problem *diag.Finding)
}

// Link reads the templates and pipelines that the stages of p name, and those that
// they name, and sets Stage.Template and Stage.Nested. The same file is read once.
func (p *Pipeline) Link(im Importer) diag.Findings {
	l := newLinker(im)
	l.pipeline(p)
	p.sources = l.sources
	return enough(l.findings)
}

// Sources are the files that Link has read, also those with mistakes: where to look
// up the lines that findings speak of.
func (p *Pipeline) Sources() []*Source { return p.sources }

// Sources are the files that Link has read; see Pipeline.Sources.
func (t *Template) Sources() []*Source { return t.sources }

// Link reads the templates that t's stage names; see Pipeline.Link.
func (t *Template) Link(im Importer) diag.Findings {
	l := newLinker(im)
	l.stage(t.Source, &t.Stage, t.Import)
	t.sources = l.sources
	return enough(l.findings)
}

type linker struct {
	importer  Importer
	asked     map[question]*answer
	bytes     int                  // of the files so far
	bad       int                  // names that led nowhere so far
	templates map[string]*Template // by Import.Key
	pipelines map[string]*Pipeline
	stages    map[*Pipeline]int // with those that they run
	open      []string          // keys on the way to where we are
	names     []string          // and the names of those files
	sources   []*Source
	findings  diag.Findings
}

// question is what the importer is asked, once for all stages that ask the same.
type question struct {
	kind, ref, from string
}

type answer struct {
	name    string
	text    []byte
	in      Import
	problem *diag.Finding
}

func newLinker(im Importer) *linker {
	return &linker{importer: im, asked: map[question]*answer{}, templates: map[string]*Template{}, pipelines: map[string]*Pipeline{}, stages: map[*Pipeline]int{}}
}

// ask asks the importer, who may look through folders and the network.
func (l *linker) ask(kind, ref string, from Import) *answer {
	q := question{kind, ref, from.Key}
	if a := l.asked[q]; a != nil {
		return a
	}
	a := &answer{}
	l.asked[q] = a
	if a.name, a.text, a.in, a.problem = l.importer.Import(kind, ref, from); a.problem != nil {
		l.bad++
		return a
	}
	a.in.Ref = ref
	if l.read(kind, a.in.Key) {
		a.text = nil // another name of the same file
	} else if l.bytes += len(a.text); l.bytes > maxLinked {
		a.text, a.problem = nil, &diag.Finding{Code: "too-large", Message: fmt.Sprintf("the files up to this one hold more than %d bytes together", maxLinked), Hint: "use fewer files, or smaller ones"}
	}
	return a
}

func (l *linker) read(kind, key string) bool {
	if kind == "template" {
		_, done := l.templates[key]
		return done
	}
	_, done := l.pipelines[key]
	return done
}

func (l *linker) pipeline(p *Pipeline) {
	all := p.all()
	total := len(all)
	for _, st := range all {
		l.stage(p.Source, st, p.Import)
		if st.Nested != nil {
			total = l.grow(p.Source, st, total)
		}
	}
	l.stages[p] = total
}

// grow counts the stages of the pipeline that a stage runs, and reports the first that
// is too much: ten files that each run the next one ten times are ten billion.
func (l *linker) grow(s *Source, st *Stage, total int) int {
	inner := l.stages[st.Nested]
	if total <= maxStages && inner <= maxStages && total+inner > maxStages {
		at := st.Path + "/pipeline"
		f := s.finding(s.At(at), "too-large", fmt.Sprintf("with this pipeline there are more than %d stages", maxStages), "run fewer pipelines, or smaller ones")
		f.Path, f.Width = at, s.Width(at)
		l.findings = append(l.findings, f)
	}
	return min(total+inner, maxStages+1)
}

func (l *linker) stage(s *Source, st *Stage, from Import) {
	if ref := st.Uses; templateRef(ref) {
		st.Template, _ = l.load(s, st.Path+"/uses", "template", ref, from).(*Template)
	}
	if ref := st.Pipeline; pipelineRef(ref) {
		st.Nested, _ = l.load(s, st.Path+"/pipeline", "pipeline", ref, from).(*Pipeline)
	}
}

func isExpression(text string) bool { return strings.Contains(text, "${{") }

// templateRef and pipelineRef leave out what the shape has refused.
func templateRef(ref string) bool {
	begins := func(with string) bool { return strings.HasPrefix(ref, with) }
	return !isExpression(ref) && (begins("./") || begins("../") || begins("builtin/") || begins("git+"))
}

func pipelineRef(ref string) bool {
	return ref != "" && ref != refused && !isExpression(ref) && !strings.HasPrefix(ref, "/")
}

// load gives the file that ref names, or nil after a finding.
func (l *linker) load(s *Source, at, kind, ref string, from Import) any {
	if l.bad > maxUnlinked || l.bytes > maxLinked {
		return nil // enough was said
	}
	a := l.ask(kind, ref, from)
	if a.problem != nil {
		f := *a.problem
		f.Pos, f.Width, f.Path = s.At(at), s.Width(at), at
		if f.Severity == "" {
			f.Severity = diag.Error
		}
		l.findings = append(l.findings, f)
		return nil
	}
	if !l.enter(s, at, kind, a.name, a.in.Key) {
		return nil
	}
	defer l.leave()
	said := len(l.findings)
	var file any
	if kind == "template" {
		file = l.template(a)
	} else {
		file = l.nested(a)
	}
	if found := l.findings[said:]; len(found) == 1 && found[0].Code == "other-file" {
		l.findings[said] = l.otherKind(s, at, kind, ref, found[0])
	}
	return file
}

// otherKind reports a file of another kind where it is used rather than in the file.
func (l *linker) otherKind(s *Source, at, kind, ref string, found diag.Finding) diag.Finding {
	f := s.finding(s.At(at), "other-file", fmt.Sprintf("%q is no %s file", ref, kind), fmt.Sprintf("name a file that begins with \"%s: NAME\"", kind))
	f.Path, f.Width = at, s.Width(at)
	if found.Path == "/template" || found.Path == "/pipeline" { // the key is to be another
		f.Pos, f.Width = s.KeyAt(at), s.KeyWidth(at)
	}
	switch {
	case kind == "pipeline" && found.Path == "/template":
		f.Message, f.Hint = fmt.Sprintf("%q is a template file, and a pipeline file is wanted here", ref), "write `uses: "+ref+"`"
	case kind == "template" && found.Path == "/pipeline":
		f.Message, f.Hint = fmt.Sprintf("%q is a pipeline file, and a template file is wanted here", ref), "write `pipeline: "+ref+"`"
	}
	return f
}

// enter refuses files that use themselves, and chains of files that are too long.
func (l *linker) enter(s *Source, at, kind, name, key string) bool {
	code, message, hint := diag.Code(""), "", ""
	if i := slices.Index(l.open, key); i >= 0 {
		ring := append(slices.Clone(l.names[i:]), name)
		code, message, hint = "import-cycle", fmt.Sprintf("this %s uses itself: %s", kind, strings.Join(ring, " -> ")), "remove one of these uses"
	} else if len(l.open) >= MaxNested {
		code, message, hint = "import-depth", fmt.Sprintf("files use each other more than %d deep", MaxNested), "write some of them into one file"
	}
	if code != "" {
		f := s.finding(s.At(at), code, message, hint)
		f.Path, f.Width = at, s.Width(at)
		l.findings = append(l.findings, f)
		return false
	}
	l.open, l.names = append(l.open, key), append(l.names, name)
	return true
}

func (l *linker) leave() {
	l.open, l.names = l.open[:len(l.open)-1], l.names[:len(l.names)-1]
}

func (l *linker) template(a *answer) any {
	if t, ok := l.templates[a.in.Key]; ok {
		return t
	}
	t, found := ReadTemplate(a.name, a.text)
	t.Import, a.text = a.in, nil
	l.sources = append(l.sources, t.Source)
	l.findings = append(l.findings, found...)
	if found.Bad() {
		t = nil // its mistakes are said; those of its users would only follow from them
	} else {
		l.stage(t.Source, &t.Stage, a.in)
	}
	l.templates[a.in.Key] = t
	if t == nil {
		return nil
	}
	return t
}

func (l *linker) nested(a *answer) any {
	if p, ok := l.pipelines[a.in.Key]; ok {
		return p
	}
	p, found := ReadPipeline(a.name, a.text)
	p.Import, a.text = a.in, nil
	l.sources = append(l.sources, p.Source)
	l.findings = append(l.findings, found...)
	if found.Bad() {
		p = nil
	} else {
		l.pipeline(p)
	}
	l.pipelines[a.in.Key] = p
	if p == nil {
		return nil
	}
	return p
}
