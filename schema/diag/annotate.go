package diag

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// What GitHub's runner decodes in the properties and the data of a command
// (actions/toolkit, packages/core/src/command.ts).
var (
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
)

// azureText is what Azure's agent decodes, in properties and messages alike
// (microsoft/azure-pipelines-agent, CommandStringConvertor.cs).
var azureText = strings.NewReplacer("%", "%AZP25", ";", "%3B", "\r", "%0D", "\n", "%0A", "]", "%5D")

// GitHub writes findings as workflow commands, which GitHub Actions shows beside
// the lines of a change:
//
//	::error file=f.yaml,line=14,col=13,endColumn=16,title=unknown-target::no target named "gpu"
func GitHub(w io.Writer, r Report) error {
	for _, f := range r.Findings {
		p := properties{escape: githubProperty}
		p.text("file", slashed(f.File))
		p.number("line", f.Line)
		p.number("col", f.Col)
		p.number("endColumn", f.end())
		p.text("title", string(f.Code))
		data := githubData.Replace(strings.Map(printable, f.told("\n")))
		if _, err := fmt.Fprintf(w, "::%s %s::%s\n", level(f), strings.Join(p.list, ","), data); err != nil {
			return err
		}
	}
	return nil
}

// Azure writes findings as logging commands, which Azure Pipelines lists as the
// issues of a job:
//
//	##vso[task.logissue type=error;sourcepath=f.yaml;linenumber=14;columnnumber=13;code=unknown-target]no target named "gpu"
func Azure(w io.Writer, r Report) error {
	for _, f := range r.Findings {
		p := properties{escape: azureText}
		p.text("type", level(f))
		p.text("sourcepath", slashed(f.File))
		p.number("linenumber", f.Line)
		p.number("columnnumber", f.Col)
		p.text("code", string(f.Code))
		message := azureText.Replace(strings.Map(printable, f.told("\n")))
		if _, err := fmt.Fprintf(w, "##vso[task.logissue %s]%s\n", strings.Join(p.list, ";"), message); err != nil {
			return err
		}
	}
	return nil
}

// properties are the NAME=VALUE of a command; what is not known is left out.
type properties struct {
	escape *strings.Replacer
	list   []string
}

func (p *properties) text(name, value string) {
	if value != "" {
		p.list = append(p.list, name+"="+p.escape.Replace(value))
	}
}

func (p *properties) number(name string, value int) {
	if value > 0 {
		p.text(name, fmt.Sprint(value))
	}
}

// level is a severity in the words of most other programs.
func level(f Finding) string {
	if f.Severity == Warning {
		return "warning"
	}
	return "error"
}

// The beginnings of commands: Azure's agent and GitHub's runner find the first two
// anywhere in a line, and the runner the third where a line begins.
var (
	marked   = regexp.MustCompile(`##(vso)?\[`)
	colonned = regexp.MustCompile(`(?m)^(\s*):(:)`)
)

// tame keeps a file from giving commands to the CI that shows its lines. It changes
// no width, so that carets still point where they should.
func tame(text string) string {
	text = marked.ReplaceAllString(text, "#·$1[")
	return colonned.ReplaceAllString(text, "$1·$2")
}
