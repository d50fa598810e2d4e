package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// step is a stage of a pipeline whose jobs tell the history what they do.
type step struct {
	name   string
	needs  []string
	items  int    // 0: it runs once
	lines  int    // numbered lines of its log, half of them before its script
	script string // what else it does
	leaves bool   // an artifact "model"
	keys   string // more keys of the stage, as lines of YAML
	exit   string // the code it ends with, as an arithmetic expression; empty: 0
}

// beginning defines how a job tells a fact, with one write, and begins with one.
const beginning = `
fact() { printf '{"at":%%s,"is":"%%s","job":"%%s","pid":%%d%%s}\n' "$(date +%%s.%%N)" "$1" "$AMLFLOW_JOB" $$ "$2" >>'%[1]s'; }
lines() { n=$1; while [ $n -le $2 ]; do echo "line $n"; n=$((n+1)); done; }
fact started ',"lines":%[2]d'
lines 1 %[3]d
`

// leaving makes an artifact that differs for each attempt, and tells its digest.
const leaving = `
{ echo "$AMLFLOW_JOB"; head -c ${BYTES:-100000} /dev/urandom; } >"$AMLFLOW_OUTPUT_MODEL"
sum=$(sha256sum <"$AMLFLOW_OUTPUT_MODEL")
fact made ',"name":"model","digest":"sha256:'"${sum%% *}"'"'
`

const ending = `
lines %[1]d %[2]d
code=$((%[3]s))
fact finished ',"exit":'$code
exit $code
`

// text is the script of the step.
func (s step) text(facts string) string {
	text := fmt.Sprintf(beginning, facts, s.lines, s.lines/2) + s.script
	if s.leaves {
		text += leaving
	}
	exit := s.exit
	if exit == "" {
		exit = "0"
	}
	return text + fmt.Sprintf(ending, s.lines/2+1, s.lines, exit)
}

func (s step) yaml(facts string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    needs: [%s]\n", s.name, strings.Join(s.needs, ", "))
	if s.items > 0 {
		fmt.Fprintf(&b, "    matrix: { item: [%s] }\n    env: { ITEM: \"${{ matrix.item }}\" }\n", numbers(s.items))
	}
	if s.leaves {
		b.WriteString("    outputs: { model: file }\n")
	}
	b.WriteString(indent("    ", s.keys))
	b.WriteString("    run: |\n" + indent("      ", s.text(facts)))
	return b.String()
}

// numbers lists 1 to n.
func numbers(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint(i+1))
	}
	return strings.Join(list, ", ")
}

func indent(by, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(by + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return b.String()
}

// pipeline writes a pipeline with these steps, and returns its file.
func (u *user) pipeline(name string, steps ...step) string {
	u.Helper()
	text := "amlflow: v1\npipeline: " + name + "\nstages:\n"
	for _, s := range steps {
		text += s.yaml(u.history.path)
	}
	folder := filepath.Join(u.work, name) // of its own: its content is the code of the stages
	u.must(os.MkdirAll(folder, 0o755))
	file := filepath.Join(name, name+".pipeline.yaml")
	u.write(file, text)
	return file
}

// submit starts a run of the steps, and returns its id.
func (u *user) submit(steps ...step) string {
	u.Helper()
	return u.start(u.pipeline("p", steps...), steps...)
}

// start starts a run of a file that has these steps.
func (u *user) start(file string, steps ...step) string {
	u.Helper()
	id := parse[struct{ Run string }](u, u.does("run", file, "--detach", "-o", "json")).Run
	u.accepted(id, steps...)
	return id
}

// accepted tells the history of a run that the program named.
func (u *user) accepted(id string, steps ...step) {
	u.Helper()
	u.saw(Fact{Is: Accepted, Run: id})
	for _, s := range steps {
		u.saw(Fact{Is: Declared, Run: id, Stage: s.name, Needs: s.needs, Items: s.items})
	}
}

// gate is a file that jobs wait for.
type gate struct {
	u    *user
	path string
}

func (u *user) gate(name string) gate { return gate{u, filepath.Join(u.root, "gate-"+name)} }

// wait is the script of a job that waits for the gate to open.
func (g gate) wait() string { return "until [ -e '" + g.path + "' ]; do sleep 0.02; done\n" }

func (g gate) open() {
	g.u.Helper()
	g.u.must(os.WriteFile(g.path, nil, 0o600))
}
