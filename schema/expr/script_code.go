package expr

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// codeArg says that a word, or the input, of a command is a program for somebody else to run.
type codeArg struct {
	command string // who runs it: "sh", "eval", "ssh", "python3"
	input   bool   // it comes as standard input
}

func (c codeArg) message() string {
	if c.input {
		return fmt.Sprintf("this input is a program that %s runs, and the value would become part of it", c.command)
	}
	return fmt.Sprintf("this text is a program that %s runs, and the value would become part of it", c.command)
}

// cure says what to write so that the value stays a value.
func (c codeArg) cure(expression string) string {
	name := c.command
	switch {
	case name == "eval":
		return "leave eval out: " + expression + " is exactly one word wherever it stands"
	case name == "trap":
		return fmt.Sprintf(`keep it in a variable first: value=%s; trap 'echo "$value"' EXIT`, expression)
	case name == "ssh":
		return fmt.Sprintf(`send it as input: printf '%%s\n' %s | ssh host 'IFS= read -r value; echo "$value"'`, expression)
	case isAwk(name):
		return fmt.Sprintf(`keep it in the environment: VALUE=%s %s '{ print ENVIRON["VALUE"] }'`, expression, name)
	case c.input && isShell(name):
		return fmt.Sprintf(`pass it as an argument and quote the here-document: %s -s -- %s <<'EOF', and "$1" inside`, name, expression)
	case c.input:
		return fmt.Sprintf(`pass it as an argument and quote the here-document: %s - %s <<'EOF'`, name, expression)
	case isShell(name), name == "su", name == "runuser":
		return fmt.Sprintf(`pass it as an argument: sh -c 'echo "$1"' sh %s`, expression)
	case strings.HasPrefix(name, "python"):
		return fmt.Sprintf(`pass it as an argument: %s -c 'import sys; print(sys.argv[1])' %s`, name, expression)
	}
	return fmt.Sprintf(`keep it in the environment: VALUE=%s %s …, and read VALUE in the program`, expression, name)
}

// interpreters and the options after which a program stands.
var interpreters = map[string]*regexp.Regexp{
	"python": regexp.MustCompile(`^-[a-zA-Z]*c$`),
	"perl":   regexp.MustCompile(`^-[a-zA-Z0]*[eE]$`),
	"ruby":   regexp.MustCompile(`^-[a-zA-Z]*e$`),
	"node":   regexp.MustCompile(`^(-e|-p|-pe|--eval|--print)$`),
	"php":    regexp.MustCompile(`^-r$`),
	"lua":    regexp.MustCompile(`^-e$`),
	"r":      regexp.MustCompile(`^-e$`),
}

var (
	shellNames    = []string{"sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "fish"}
	awkNames      = []string{"awk", "gawk", "mawk", "nawk"}
	shellProgram  = regexp.MustCompile(`^-[a-zA-Z]*c[a-zA-Z]*$`)
	shellValue    = regexp.MustCompile(`^([-+][a-zA-Z]*[oO]|--rcfile|--init-file)$`) // the next word is its value
	versionSuffix = regexp.MustCompile(`[0-9.]+$`)
)

func isShell(name string) bool { return slices.Contains(shellNames, name) }
func isAwk(name string) bool   { return slices.Contains(awkNames, name) }

// codeArgs finds the words of a command that somebody runs as a program, and whether the standard input is one.
// Shells and interpreters are looked for behind other commands too, as in `sudo sh -c …` or `docker exec c sh -c …`.
func codeArgs(args []*syntax.Word) (words map[*syntax.Word]codeArg, input *codeArg) {
	words = map[*syntax.Word]codeArg{}
	for i, arg := range args {
		text, ok := literal(arg)
		if !ok {
			continue
		}
		name := path.Base(text)
		if i == 0 && (name == "echo" || name == "printf") {
			return words, nil
		}
		c := command{name: name, rest: args[i+1:], first: i == 0 || wrapped(args[0]), words: words}
		if c.look(); c.input {
			input = &codeArg{command: name, input: true}
		}
	}
	return words, input
}

// wrappers run the command that follows them.
var wrappers = []string{"sudo", "env", "exec", "command", "time", "timeout", "nohup", "nice", "ionice", "setsid", "xargs", "srun", "sshpass", "stdbuf"}

func wrapped(first *syntax.Word) bool {
	text, ok := literal(first)
	return ok && slices.Contains(wrappers, path.Base(text))
}

// command is a name and what follows it.
type command struct {
	name  string
	rest  []*syntax.Word
	first bool
	words map[*syntax.Word]codeArg
	input bool
}

func (c *command) look() {
	program, isInterpreter := interpreters[interpreterName(c.name)]
	switch {
	case c.name == "eval" && c.first:
		c.mark(c.rest...)
	case c.name == "trap" && c.first:
		c.afterOptions(nil)
	case c.name == "ssh" && c.first:
		c.ssh()
	case (c.name == "su" || c.name == "runuser") && c.first:
		c.option(regexp.MustCompile(`^(-c|--command)$`), true)
	case isAwk(c.name) && c.first && !c.hasOption("-f"):
		c.afterOptions([]string{"-v", "-F"})
	case isShell(c.name):
		c.option(shellProgram, false)
	case isInterpreter:
		c.option(program, false)
	}
}

func interpreterName(name string) string {
	base := versionSuffix.ReplaceAllString(strings.ToLower(name), "")
	switch base {
	case "pypy":
		return "python"
	case "nodejs":
		return "node"
	case "rscript":
		return "r"
	}
	return base
}

func (c *command) mark(words ...*syntax.Word) {
	for _, w := range words {
		c.words[w] = codeArg{command: c.name}
	}
}

func (c *command) hasOption(option string) bool {
	return slices.ContainsFunc(c.rest, func(w *syntax.Word) bool { text, ok := literal(w); return ok && text == option })
}

// afterOptions marks the first word that is not an option, nor the value of one that takes a value.
func (c *command) afterOptions(withValue []string) {
	for i := 0; i < len(c.rest); i++ {
		text, ok := literal(c.rest[i])
		switch {
		case ok && slices.Contains(withValue, text):
			i++
		case ok && strings.HasPrefix(text, "-") && text != "-":
		default:
			c.mark(c.rest[i])
			return
		}
	}
}

// option marks the word after the option that announces a program. Without one, a first word that is no option is a
// file to run, and if there is none the program comes as input. With anywhere, other words may come before the option.
func (c *command) option(program *regexp.Regexp, anywhere bool) {
	for i := 0; i < len(c.rest); i++ {
		text, ok := literal(c.rest[i])
		switch {
		case ok && isShell(c.name) && shellValue.MatchString(text):
			i++
		case ok && program.MatchString(text):
			c.mark(c.rest[min(i+1, len(c.rest)):min(i+2, len(c.rest))]...)
			return
		case ok && (text == "-" || text == "-s"):
			c.input = true
			return
		case ok && strings.HasPrefix(text, "-"):
		case !anywhere:
			return
		}
	}
	c.input = !anywhere
}

// sshValues are the options of ssh that take a value in the next word.
const sshValues = "BbcDEeFIiJLlmOopPQRSWw"

// ssh joins all words after the host and gives them to a shell over there.
func (c *command) ssh() {
	for i := 0; i < len(c.rest); i++ {
		text, ok := literal(c.rest[i])
		if ok && len(text) == 2 && text[0] == '-' && strings.Contains(sshValues, text[1:]) {
			i++
			continue
		}
		if ok && strings.HasPrefix(text, "-") {
			continue
		}
		c.mark(c.rest[i+1:]...)
		c.input = i+1 == len(c.rest)
		return
	}
}

// literal is the text of a word that holds nothing to expand.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, part := range w.Parts {
		switch x := part.(type) {
		case *syntax.Lit:
			b.WriteString(x.Value)
		case *syntax.SglQuoted:
			b.WriteString(x.Value)
		case *syntax.DblQuoted:
			inner, ok := literal(&syntax.Word{Parts: x.Parts})
			if !ok {
				return "", false
			}
			b.WriteString(inner)
		default:
			return "", false
		}
	}
	return b.String(), true
}
