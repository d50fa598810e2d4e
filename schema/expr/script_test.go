package expr_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/amlflow/amlflow/schema/expr"
)

func TestEmbedShellSays(t *testing.T) {
	input, err := os.ReadFile("testdata/script.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, cases, _ := strings.Cut(string(input), "\n")
	var out strings.Builder
	for _, text := range strings.Split(strings.TrimSuffix(cases, "\n"), "\n---\n") {
		out.WriteString(indented("| ", text))
		script, errs := expr.EmbedShell(text)
		for _, e := range errs {
			place(&out, text, e)
		}
		if errs == nil {
			out.WriteString(indented("> ", script.Text))
		}
		for _, v := range script.Vars {
			fmt.Fprintf(&out, "  %s = %s in %s at %q\n", v.Name, v.Expr, v.Context, text[v.Offset:v.Offset+len(v.Expr)])
		}
		out.WriteString("\n")
	}
	golden(t, "script.golden", out.String())
}

func indented(mark, text string) string {
	return mark + strings.ReplaceAll(text, "\n", "\n"+mark) + "\n"
}

func place(out *strings.Builder, text string, e expr.Error) {
	line := strings.Count(text[:e.Offset], "\n") + 1
	column := e.Offset - strings.LastIndexByte(text[:e.Offset], '\n')
	marked := text[e.Offset:min(e.End, len(text))]
	fmt.Fprintf(out, "  %d:%d %q [%s] %s\n", line, column, marked, e.Code, e.Message)
	if e.Hint != "" {
		fmt.Fprintf(out, "    hint: %s\n", e.Hint)
	}
}

// shells are the real ones that must read what EmbedShell writes.
func shells(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"sh", "bash"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("SKIP: there is neither sh nor bash: apt-get install dash")
	}
	return found
}

// forms are places in which a value must arrive exactly as it is, printed between angle brackets.
var forms = []struct {
	name, script string
	bash         bool
}{
	{"word", `printf '<%s>' ${{ x }}`, false},
	{"word with a neighbour", `printf '<%s>' ""${{ x }}`, false},
	{"quoted", `printf '<%s>' "${{ x }}"`, false},
	{"assignment", "v=${{ x }}\nprintf '<%s>' \"$v\"", false},
	{"export", "export v=${{ x }}\nprintf '<%s>' \"$v\"", false},
	{"inner shell", `sh -c 'printf "<%s>" "$1"' sh ${{ x }}`, false},
	{"case", `case ${{ x }} in ${{ x }}) printf '<%s>' "${{ x }}" ;; esac`, false},
	{"default", `printf '<%s>' ${UNSET_HERE:-${{ x }}}`, false},
	{"quoted default", `printf '<%s>' "${UNSET_HERE:-${{ x }}}"`, false},
	{"cut prefix", `v=${{ x }}tail; [ "${v#${{ x }}}" = tail ] && printf '<%s>' ${{ x }}`, false},
	{"cut unquoted prefix", `v=${{ x }}tail; [ ${v#${{ x }}} = tail ] && printf '<%s>' ${{ x }}`, false},
	{"function", "f() { printf '<%s>' \"$1\"; }\nf ${{ x }}", false},
	{"for", `for v in ${{ x }}; do printf '<%s>' "$v"; done`, false},
	{"test", `[ a${{ x }} = "a${{ x }}" ] && printf '<%s>' ${{ x }}`, false},
	{"substitution", `v=$(printf '%s.' ${{ x }}); printf '<%s>' "${v%.}"`, false},
	{"quoted substitution", `v="$(printf '%s.' ${{ x }})"; printf '<%s>' "${v%.}"`, false},
	{"backquotes", "v=`printf '%s.' ${{ x }}`; printf '<%s>' \"${v%.}\"", false},
	{"quoted backquotes", "v=\"`printf '%s.' ${{ x }}`\"; printf '<%s>' \"${v%.}\"", false},
	{"here-document", "cat <<END\n<${{ x }}>\nEND", false},
	{"here-document default", "cat <<END\n<${UNSET_HERE:-${{ x }}}>\nEND", false},
	{"comment", "# ${{ x }}\nprintf '<%s>' ${{ x }} # ${{ x }}", false},
	{"array", `a=(${{ x }} b); printf '<%s>' "${a[0]}"`, true},
	{"double brackets", `[[ ${{ x }} == ${{ x }} ]] && printf '<%s>' ${{ x }}`, true},
	{"here-string", `cat <<< "<"${{ x }}">"`, true},
	{"replacement", `v=a; v=${v/a/${{ x }}}; printf '<%s>' "$v"`, true},
	{"process substitution", `cat <(printf '<%s>' ${{ x }})`, true},
}

// value draws texts that a careless script would run, split or expand.
func value() *rapid.Generator[string] {
	nasty := []string{`"; rm -rf /; $(touch hacked) '`, "`touch hacked`", "$(touch hacked)", "a  b", "*", "~", "-n", "a\nb\n", "\\", "\\n", "'", `"`, "$HOME", "${HOME}", "é ü 日本", "!!", "%s", "#x",
		"[a-z]*", "{a,b}", "&& touch hacked", "|cat", "\t", "", "EOF", "END", "a]", "${{ y }}", "$((1+1))", "=", "\r", "\x01", "\x7f"}
	return rapid.OneOf(rapid.SampledFrom(nasty), rapid.StringN(0, 20, -1), rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(nasty), 1, 4).Draw(t, "parts"), "")
	}))
}

// nastiest is everything at once, for every form.
const nastiest = "\"; rm -rf /; $(touch hacked) '`touch hacked`\n\\* ~ é ${HOME} a  b \t[a]"

// embedded is a form that has been rewritten, with a shell that must read it.
type embedded struct {
	name, shell string
	script      expr.Script
}

func embed(t *testing.T) []embedded {
	t.Helper()
	var all []embedded
	for _, form := range forms {
		script, errs := expr.EmbedShell(form.script)
		if errs != nil || len(script.Vars) != 1 {
			t.Errorf("%s: the same expression is %d variables: %v", form.name, len(script.Vars), errs)
			continue
		}
		for _, shell := range shells(t) {
			if name := filepath.Base(shell); name == "bash" || !form.bash {
				all = append(all, embedded{form.name + " in " + name, shell, script})
			}
		}
	}
	return all
}

// TestShellSeesExactlyTheValue runs the rewritten scripts in real shells.
func TestShellSeesExactlyTheValue(t *testing.T) {
	all, dir := embed(t), t.TempDir()
	for _, e := range all {
		e.exact(t, dir, nastiest)
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 3 {
			rapid.SampledFrom(all).Draw(t, "form").exact(t, dir, value().Draw(t, "value"))
		}
	})
}

func (e embedded) exact(t failer, dir, value string) {
	text, err := expr.Format(value)
	if err != nil {
		return // no environment takes it
	}
	cmd := exec.Command(e.shell, "-c", e.script.Text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", e.script.Vars[0].Name+"="+text)
	out, err := cmd.CombinedOutput()
	got := strings.TrimSuffix(string(out), "\n")
	if want := "<" + value + ">"; err != nil || got != want {
		t.Fatalf("%s: %s with %q printed %q, want %q (%v)", e.name, e.script.Text, value, got, want, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "hacked")); err == nil {
		t.Fatalf("%s: %s ran %q as code", e.name, e.script.Text, value)
	}
}

func TestArithmeticKeepsTheSign(t *testing.T) {
	script, errs := expr.EmbedShell(`echo $((5-${{ x }})) $((${{ x }}*2)) "$((${{ x }}))"`)
	if errs != nil {
		t.Fatal(errs)
	}
	for _, shell := range shells(t) {
		cmd := exec.Command(shell, "-c", script.Text)
		cmd.Env = []string{script.Vars[0].Name + "=-3"}
		out, err := cmd.CombinedOutput()
		if diff := cmp.Diff("8 -6 -3\n", string(out)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", shell, err, diff)
		}
	}
}

// Text without expressions must come back byte for byte.
func TestScriptsWithoutExpressionsStayAsTheyAre(t *testing.T) {
	for _, text := range []string{"", "echo hi\n", "cat <<EOF\n$x\nEOF\n", "a=(1 2)\r\necho ${a[1]}"} {
		script, errs := expr.EmbedShell(text)
		if errs != nil || script.Text != text || len(script.Vars) != 0 {
			t.Errorf("%q became %q, %v, %v", text, script.Text, script.Vars, errs)
		}
	}
}
