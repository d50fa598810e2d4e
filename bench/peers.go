package main

import (
	"fmt"
	"strings"
)

// peers are what is looked for. Each may do as much at once as amlflow does.
var peers = []peer{
	{program: "sh", files: shellFiles, run: []string{"work.sh"}},
	{program: "make", ask: []string{"--version"}, files: makeFiles, run: []string{"-s", "-j256"}, check: []string{"-n"},
		stale: []string{"done"}, resumes: []string{"-s", "-j256"}},
	{program: "ninja", ask: []string{"--version"}, files: ninjaFiles, run: []string{"--quiet", "-j256"}, check: []string{"-n", "--quiet"},
		stale: []string{"done", ".ninja_log", ".ninja_deps"}, resumes: []string{"--quiet", "-j256"}},
	{program: "task", ask: []string{"--version"}, files: taskFiles, run: []string{"-s"}, check: []string{"-s", "--dry"},
		stale: []string{"done"}, resumes: []string{"-s"}},
	{program: "dagu", ask: []string{"version"}, files: daguFiles, run: []string{"start", "work.yaml"}, check: []string{"validate", "work.yaml"}, home: "DAGU_HOME"},
	{program: "snakemake", ask: []string{"--version"}, files: snakeFiles, run: append(snakeQuiet, "--cores", "256"),
		check: append(snakeQuiet, "-n"), stale: []string{"done", ".snakemake"}, alone: true,
		resumes: append(snakeQuiet, "--cores", "256", "--rerun-incomplete", "--nolock")},
	{program: "cwltool", ask: []string{"--version"}, files: cwlFiles, run: []string{"--parallel", "--quiet", "work.cwl"},
		check: []string{"--quiet", "--validate", "work.cwl"}, alone: true},
}

// snakeQuiet leaves out all words but those about mistakes.
var snakeQuiet = []string{"-q", "host", "progress", "reason", "rules"}

// shellFiles is one script; a fan-out is started at once and waited for.
func shellFiles(w work, dir string) map[string]string {
	var b strings.Builder
	b.WriteString("set -e\n")
	for _, s := range w.stages(dir) {
		switch {
		case s.name == "join":
			b.WriteString("wait\n" + s.command + "\n")
		case w.Shape == fan || w.Shape == each:
			b.WriteString(s.command + " &\n")
		default:
			b.WriteString(s.command + "\n")
		}
	}
	return map[string]string{"work.sh": b.String()}
}

// leaves reports whether each stage leaves a file, by which the tool sees on another
// start that it is done.
func (w work) leaves() bool { return w.Shape == kill }

// last is the stage that needs all others.
func last(all []stage) string { return all[len(all)-1].name }

func makeFiles(w work, dir string) map[string]string {
	all := w.stages(dir)
	var b strings.Builder
	fmt.Fprintf(&b, "all: done/%s\n", last(all))
	for _, s := range all {
		fmt.Fprintf(&b, "done/%s:", s.name)
		for _, n := range s.needs {
			b.WriteString(" done/" + n)
		}
		b.WriteString("\n\t@" + s.command + "\n")
		if w.leaves() {
			b.WriteString("\t@mkdir -p done && touch $@\n")
		}
	}
	return map[string]string{"Makefile": b.String()}
}

func ninjaFiles(w work, dir string) map[string]string {
	all := w.stages(dir)
	var b strings.Builder
	b.WriteString("rule stage\n  command = $does\n")
	for _, s := range all {
		fmt.Fprintf(&b, "build done/%s: stage", s.name)
		for _, n := range s.needs {
			b.WriteString(" done/" + n)
		}
		does := s.command
		if w.leaves() {
			does += " && touch done/" + s.name
		}
		b.WriteString("\n  does = " + does + "\n")
	}
	fmt.Fprintf(&b, "default done/%s\n", last(all))
	return map[string]string{"build.ninja": b.String()}
}

func taskFiles(w work, dir string) map[string]string {
	all := w.stages(dir)
	var b strings.Builder
	fmt.Fprintf(&b, "version: \"3\"\ntasks:\n  default: { deps: [%s] }\n", last(all))
	for _, s := range all {
		fmt.Fprintf(&b, "  %s:\n    deps: [%s]\n", s.name, strings.Join(s.needs, ", "))
		if w.leaves() {
			fmt.Fprintf(&b, "    status: [test -f done/%s]\n    cmds: [%q, mkdir -p done && touch done/%s]\n", s.name, s.command, s.name)
		} else {
			fmt.Fprintf(&b, "    cmds: [%q]\n", s.command)
		}
	}
	return map[string]string{"Taskfile.yml": b.String()}
}

func daguFiles(w work, dir string) map[string]string {
	var b strings.Builder
	fmt.Fprintf(&b, "type: graph\nmax_active_steps: %d\nsteps:\n", atOnce)
	for _, s := range w.stages(dir) {
		fmt.Fprintf(&b, "  - name: %s\n    command: %q\n", s.name, s.command)
		if len(s.needs) > 0 {
			fmt.Fprintf(&b, "    depends: [%s]\n", strings.Join(s.needs, ", "))
		}
	}
	return map[string]string{"work.yaml": b.String()}
}

// snakeFiles has a rule for each stage, or one rule with a wildcard for all items.
func snakeFiles(w work, dir string) map[string]string {
	all := w.stages(dir)
	var b strings.Builder
	fmt.Fprintf(&b, "rule all:\n    input: \"done/%s\"\n", last(all))
	if w.Shape == each {
		b.WriteString("rule s:\n    output: touch(\"done/s{item}\")\n    shell: \"/bin/true\"\n")
		all = all[len(all)-1:]
	}
	for _, s := range all {
		fmt.Fprintf(&b, "rule %s:\n", s.name)
		if len(s.needs) > 0 {
			fmt.Fprintf(&b, "    input: \"done/%s\"\n", strings.Join(s.needs, `", "done/`))
		}
		fmt.Fprintf(&b, "    output: touch(\"done/%s\")\n    shell: %q\n", s.name, s.command)
	}
	return map[string]string{"Snakefile": b.String()}
}

// cwlStage and cwlJoin are command lines that only the order of the steps matters to.
const (
	cwlStage = `cwlVersion: v1.2
class: CommandLineTool
baseCommand: [/bin/sh, -c, %q]
inputs: { after: "%s" }
outputs: { ok: { type: string, outputBinding: { outputEval: $(runtime.outdir) } } }
`
	cwlHead = `cwlVersion: v1.2
class: Workflow
requirements: { ScatterFeatureRequirement: {}, MultipleInputFeatureRequirement: {} }
inputs: []
outputs: []
steps:
`
)

func cwlFiles(w work, dir string) map[string]string {
	var b strings.Builder
	b.WriteString(cwlHead)
	if w.Shape == each {
		fmt.Fprintf(&b, "  s: { run: stage.cwl, scatter: after, in: { after: { default: [\"%s\"] } }, out: [ok] }\n", strings.Join(w.items(), `", "`))
		b.WriteString("  join: { run: join.cwl, in: { after: s/ok }, out: [ok] }\n")
	}
	for _, s := range w.stages(dir) {
		after := "{}"
		if len(s.needs) > 0 {
			after = "{ after: " + s.needs[0] + "/ok }"
		}
		switch {
		case w.Shape == each:
		case s.name == "join":
			fmt.Fprintf(&b, "  join: { run: join.cwl, in: { after: { source: [%s/ok] } }, out: [ok] }\n", strings.Join(s.needs, "/ok, "))
		default:
			fmt.Fprintf(&b, "  %s: { run: stage.cwl, in: %s, out: [ok] }\n", s.name, after)
		}
	}
	does := w.command(dir, 0)
	return map[string]string{"work.cwl": b.String(), "stage.cwl": fmt.Sprintf(cwlStage, does, "string?"), "join.cwl": fmt.Sprintf(cwlStage, "/bin/true", "string[]")}
}
