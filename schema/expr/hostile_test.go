package expr_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/schema/expr"
)

const shared = "let a=[1,1,1,1,1,1,1,1,1,1]; let b=[a,a,a,a,a,a,a,a,a,a]; let c=[b,b,b,b,b,b,b,b,b,b]; let d=[c,c,c,c,c,c,c,c,c,c]; let e=[d,d,d,d,d,d,d,d,d,d]; let f=[e,e,e,e,e,e,e,e,e,e]; let g=[f,f,f,f,f,f,f,f,f,f]; let h=[g,g,g,g,g,g,g,g]; "

const long = `let a="0123456789"; let b=a+a+a+a+a+a+a+a+a+a; let c=b+b+b+b+b+b+b+b+b+b; let d=c+c+c+c+c+c+c+c+c+c; `

// objects shares an object with itself so many times, one level deeper each time.
func objects(levels int) string {
	src := "let o0 = {p: 1}; "
	for i := range levels {
		src += fmt.Sprintf("let o%d = {p: o%d, q: o%d}; ", i+1, i, i)
	}
	return fmt.Sprintf("%so%d", src, levels)
}

// hostile are expressions that are small to write and would be large to compute.
var hostile = []string{
	"1..1000000", "1..9007199254740991", "-9007199254740991..9007199254740991", "let x = 1..9000; all(x, all(x, # > 0))", "let x = 1..500; all(x, all(x, all(x, # > 0)))",
	"let x = 1..50; all(x, all(x, all(x, all(x, all(x, all(x, # > 0))))))", `reduce(1..40, #acc + #acc, "ab")`, `reduce(1..40, #acc + #acc, [1])`, `reduce(1..40, [#acc, #acc], 1)`,
	`reduce(1..40, ({a: #acc, b: #acc}), 1)`, `reduce(1..9000, [#acc], 1)`, `reduce(1..40, concat(#acc, #acc), [1])`, `reduce(1..40, #acc * #acc, 1.5)`, `reduce(1..60, #acc * 2, 1)`,
	long + `let e=d+d+d+d+d+d+d+d+d+d; len(e)`, long + `map(1..9999, d + "x")`, long + `map(1..9999, upper(d))`, long + `map(1..9999, d contains "9a")`, long + `map(1..9999, lastIndexOf(d, "9a"))`, long + `map(1..9999, replace(d, "0", ""))`,
	long + `map(1..9999, split(d, "0"))`, long + `map(1..9999, trim(d, d))`, long + `map(1..9999, d == d)`, long + `map(1..9999, d < d)`, long + `map(1..9999, d[1:])`, long + `map(1..9999, len(d))`, long + `replace(d, "", d)`, long + `join(map(1..9999, d), d)`,
	long + `sort(map(1..3000, d + string(#)))`, long + `toJSON(map(1..9999, d))`, long + `map(1..100, toJSON(d))`, long + `uniq(map(1..9999, d))`, long + `map(1..9999, d in [d, d, d])`, long + `{(d): d}`, long + `map(1..9999, ({(d): 1}))`,
	long + `groupBy(1..9999, d)`, long + `let e = d+d+d+d+d+d; map(1..9999, e)`, `map(1..9999, fromJSON("[1,2,3,4,5,6,7,8,9]"))`, `fromJSON(join(map(1..9999, "["), ""))`, `fromJSON(join(map(1..9999, "[]"), ","))`,
	`let x=1..9999; count(x, # in x)`, `let x=1..9999; map(x, x + x)`, `let x=1..9999; map(x, reverse(x))`, `let x=1..9999; map(x, sort(x))`, `let x=1..9999; map(x, sum(x))`, `let x=1..9999; map(x, max(x))`, `let x=1..9999; map(x, x == x)`, `let x=1..9999; map(x, x[1:])`, `let x=1..9999; map(x, x)`,
	`"a" matches "(a?){500}a{500}"`, `"a" matches "((a{9}){9}){9}"`, long + `d matches "(.*)*x"`, long + `map(1..9999, d[:4000] matches "(0|1|2|3|4|5|6|7|8|9|0123456789)*x")`, long + `map(1..9999, d[:4000] matches "(a?){100}a{100}")`, `map(1..9999, "a" matches "[^a]{90}|(b?){90}")`, `let p="x"+"y"; "a" matches p`,
	strings.Repeat("(", 1000000), strings.Repeat("(", 4000), strings.Repeat("[", 4000), strings.Repeat("{a:", 1000), strings.Repeat("-", 4000) + "1", strings.Repeat("!", 4000) + "true", strings.Repeat("not ", 1000) + "true", strings.Repeat("true?1:", 500) + "1", strings.Repeat("1?", 2000), strings.Repeat("1?:", 1300) + "1",
	"1" + strings.Repeat("+1", 2000), "1" + strings.Repeat("|string()", 400), strings.Repeat("let a=", 600), objects(50), objects(50) + " == o50", "s" + strings.Repeat(".t-s", 100), strings.Repeat("(s.t-", 60) + "1" + strings.Repeat(")", 60), strings.Repeat("m.", 2000), "m" + strings.Repeat("?.m", 150), strings.Repeat("m[", 2000), strings.Repeat("m[", 60) + "1" + strings.Repeat("]", 60), strings.Repeat("m ?? ", 240) + "1", "1" + strings.Repeat("<1", 2000), "1" + strings.Repeat("**1", 1000),
	strings.Repeat("1<(", 60) + "1" + strings.Repeat(")<1", 60), strings.Repeat("(", 60) + "true" + strings.Repeat("?:1)", 60), strings.Repeat("(", 60) + "1" + strings.Repeat("-1).x", 60), strings.Repeat("(", 60) + "m" + strings.Repeat(".a-1)", 60), "m" + strings.Repeat(".a", 200) + strings.Repeat("-1", 200),
	long + `join(split(d, ""), d)`, long + `reduce(1..9999, upper(d), "")`, long + `map(split(d, ""), d)`, long + `map(1..9999, ({a: #, b: d}))`, long + `fromJSON(toJSON(split(d, "")))`, long + `groupBy(split(d, ""), #)`, long + `string({a: d, b: d, c: d, d: d, e: d, f: d, g: d, h: d})`,
	"fromJSON(\"[" + strings.Repeat("[1,2,3,4],", 380) + "1]\")", strings.Repeat("map([1], ", 63) + "1" + strings.Repeat(")", 63), strings.Repeat("true ? 1 : (", 63) + "1" + strings.Repeat(")", 63), "1 /* " + strings.Repeat("c", 4000), "'" + strings.Repeat("\\n", 2000), "1" + strings.Repeat("?.a", 1300), "1" + strings.Repeat(" ?? 1", 800),
	"9223372036854775807 + 1", "9007199254740991 + 9007199254740991", "0x7fffffffffffffff", "1e309", "1e308*1e308", "0.0/0", "1 % 0", "int(1e300)", "-1e308 - 1e308",
	shared + "string([h,h,h])", shared + "h == h", shared + "toJSON(h)", shared + "h", shared + "{h: h}", shared + "uniq([h, h])", shared + "[h] == [h]", shared + "h in [h]", shared + "{h: h} == {h: h}", shared + "sort(h)", shared + "h[0] != h[1]", shared + "reduce(h, #acc + #, [])",
}

// TestHostile evaluates each in a process of its own, where a death or an endless loop hurts nobody, and looks at
// its memory. The deadline is far beyond the half second that each should take.
func TestHostile(t *testing.T) {
	if at := os.Getenv("HOSTILE_CASE"); at != "" {
		i, _ := strconv.Atoi(at)
		evaluateHostile(hostile[i])
		return
	}
	if testing.Short() {
		t.Skip("it starts a process for each expression: run without -short")
	}
	for i, src := range hostile {
		wall, rss, out := hostileChild(t, i)
		name := src
		if len(name) > 60 {
			name = name[:30] + "…" + name[len(name)-30:]
		}
		t.Logf("%6.0fms %4dMB %-64s %s", wall.Seconds()*1000, rss>>20, name, out)
		if rss > 200<<20 {
			t.Errorf("%q took %d MB", name, rss>>20)
		}
	}
}

func hostileChild(t *testing.T, i int) (wall time.Duration, rss int64, out string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHostile$")
	cmd.Env = append(os.Environ(), "HOSTILE_CASE="+strconv.Itoa(i))
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stdout
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	if err != nil {
		t.Errorf("%.60q: %v: %.200s", hostile[i], err, stdout.String())
	}
	out, _, _ = strings.Cut(stdout.String(), "\n")
	return time.Since(start), peak(cmd.ProcessState.SysUsage().(*syscall.Rusage)), out
}

func evaluateHostile(src string) {
	compiled, errs := expr.Compile(src, expr.Scope{Names: map[string]expr.Type{"m": {Kind: expr.Any}, "s": {Kind: expr.Object, Fields: map[string]expr.Type{"t-a": {}}}}}, expr.Type{})
	v, err := expr.Eval(src, map[string]any{"m": map[string]any{"c": 3, "a": 1}, "s": map[string]any{}})
	text, _ := expr.Format(v)
	fmt.Printf("compiled=%v errors=%d %.60q %.70v\n", compiled != nil, len(errs), text, err)
}

// Every bound must be noticed as such, with words that say what to do.
func TestBoundsSayWhatToDo(t *testing.T) {
	for _, src := range []string{strings.Repeat("1+", 3000) + "1", strings.Repeat("(", 100) + "1", "1" + strings.Repeat("+1", 400), "1..20000", shared + "h == h", long + "d+d+d+d+d+d+d", shared + "h"} {
		_, err := expr.Eval(src, nil)
		if err == nil {
			t.Errorf("%.40q was evaluated", src)
			continue
		}
		if e := fault(t, err); e.Code != expr.CodeLimit {
			t.Errorf("%.40q: %s [%s], want code %s", src, e, e.Code, expr.CodeLimit)
		}
	}
}

// A chain of commands nests when it is parsed, a table in a here-document does not.
func TestChainsOfCommandsEnd(t *testing.T) {
	table := "cat <<END\n" + strings.Repeat("| a | b | c |\n", 4000) + "END\n"
	if _, errs := expr.EmbedShell(table); errs != nil {
		t.Error(errs)
	}
	for _, chain := range []string{"a|", "a&&"} {
		text := strings.Repeat(chain, expr.MaxScript/len(chain)-1) + "a"
		_, errs := expr.EmbedShell(text)
		if len(errs) != 1 || errs[0].Code != expr.CodeLimit || errs[0].Offset == 0 || errs[0].Hint == "" {
			t.Errorf("%q…: %v", text[:9], errs)
		}
	}
}
