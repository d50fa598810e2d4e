package schema

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

var (
	// endsInZero is a version such as 3.10, which is the number 3.1.
	endsInZero = regexp.MustCompile(`^([1-9][0-9]*)\.[1-9]0$`)

	// hasVersions are names of lists that hold versions.
	hasVersions = regexp.MustCompile(`(?i)(^|[_-])(py|python|version|versions|java|node|go|cuda|torch)([_-]|$)`)
)

// versions advises about versions in the list at path that are read as numbers. What
// else is in the list, or its name, says that they are versions.
func (c *checker) versions(path, name string, list []any) {
	s := c.p.Source
	for i := range list {
		at := fmt.Sprintf("%s/%d", path, i)
		n, isFloat := list[i].(float64)
		m := endsInZero.FindStringSubmatch(s.text(at))
		if !isFloat || m == nil || !hasVersions.MatchString(name) && !c.counted(path, m[1], len(list)) {
			continue
		}
		c.find(diag.Finding{Pos: s.At(at), Width: s.Width(at), Severity: diag.Warning, Code: "bad-number", Path: at,
			Message: fmt.Sprintf("this is the number %s: without quotes the zero of %s is lost", plainNumber(n), s.text(at)), Hint: "write " + c.quotedList(path, len(list))})
		return
	}
}

// counted reports whether another item is the same number with one digit behind the
// point, so that 3.10 comes after 3.9.
func (c *checker) counted(path, whole string, n int) bool {
	for i := range min(n, 100) {
		text := c.p.Source.text(fmt.Sprintf("%s/%d", path, i))
		if rest, ok := strings.CutPrefix(text, whole+"."); ok && len(rest) == 1 && rest >= "2" && rest <= "9" {
			return true
		}
	}
	return false
}

// quotedList is the list at path with each item in quotes.
func (c *checker) quotedList(path string, n int) string {
	items := make([]string, min(n, 20))
	for i := range items {
		items[i] = fmt.Sprintf("%q", c.p.Source.text(fmt.Sprintf("%s/%d", path, i)))
	}
	if n > len(items) {
		items = append(items, "…")
	}
	return "[" + strings.Join(items, ", ") + "]"
}
