package mask

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// shortest is the least length of what is looked for in encoded forms, too:
	// those of less are to be found in every text. As it is, a secret is masked
	// however short it is.
	shortest = 4
	// shortestLine is the least length of a line that is masked alone: shorter ones
	// are braces and words.
	shortestLine = 8
)

// forms is the set of texts that give secret away.
func forms(secret string) map[string]bool {
	set := map[string]bool{}
	for _, seed := range seeds(secret) {
		set[seed] = true
		if len(seed) < shortest {
			continue
		}
		for _, encode := range []func(string) []string{inBase64, inHex, inURL, inJSON, inShell} {
			for _, form := range encode(seed) {
				set[form] = true
			}
		}
	}
	return set
}

// seeds are the texts whose forms are looked for: the secret as it is, what is
// left of it when its outer white space is lost, as it is in `$(cat file)`, and its
// lines.
func seeds(secret string) []string {
	trimmed := strings.TrimSpace(secret)
	if trimmed == "" {
		return nil
	}
	all := []string{secret, trimmed}
	for _, line := range strings.FieldsFunc(trimmed, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); len(line) >= shortestLine {
			all = append(all, line)
		}
	}
	return all
}

// inBase64 gives the part of the encoding that depends on s alone, for each of the
// three places at which s may begin in a group of three bytes. What stands before
// and after s has a share in the characters beside it.
func inBase64(s string) (all []string) {
	for ahead := range 3 {
		first := (8*ahead + 5) / 6
		last := 8 * (ahead + len(s)) / 6
		std := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:ahead] + s))[first:last]
		all = append(all, std, strings.NewReplacer("+", "-", "/", "_").Replace(std))
	}
	return all
}

func inHex(s string) []string {
	lower := hex.EncodeToString([]byte(s))
	return []string{lower, strings.ToUpper(lower)}
}

// kept are the marks that are not escaped beside letters and digits: by RFC 3986;
// in paths by Python and Go; by encodeURIComponent, encodeURI and HTML forms.
var kept = []string{"-._~", "-._~/", "-._~$&+:=@", "-._~!*'()", "-._~!*'();/?:@&=+$,#", "-._*"}

func inURL(s string) (all []string) {
	for _, marks := range kept {
		for _, format := range []string{"%%%02X", "%%%02x"} {
			text := percent(s, marks, format)
			all = append(all, text, strings.ReplaceAll(text, "%20", "+"))
		}
	}
	return all
}

func percent(s, marks, format string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(marks, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, format, c)
		}
	}
	return b.String()
}

// style is one of the ways in which texts are escaped in JSON.
type style struct {
	html  bool // < > & are escaped, as by Go
	ascii bool // so is all that is not ASCII, as by Python and PHP
	slash bool // and slashes, as by PHP
	upper bool // with big letters
}

var styles = []style{{}, {html: true}, {ascii: true}, {ascii: true, upper: true}, {slash: true}, {ascii: true, slash: true}, {html: true, ascii: true}}

// inJSON also gives s in JSON that is text in JSON itself, as in structured logs.
func inJSON(s string) (all []string) {
	if !utf8.ValidString(s) {
		return nil
	}
	for _, how := range styles {
		once := how.escape(s)
		all = append(all, once, how.escape(once))
	}
	return all
}

func (how style) escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		short := strings.IndexRune("\"\\\n\r\t\b\f", r)
		switch {
		case short >= 0:
			b.WriteString(`\` + `"\nrtbf`[short:short+1])
		case r == '/' && how.slash:
			b.WriteString(`\/`)
		case r < ' ', how.html && strings.ContainsRune("<>&\u2028\u2029", r), how.ascii && r > 0x7e:
			how.number(&b, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (how style) number(b *strings.Builder, r rune) {
	format := `\u%04x`
	if how.upper {
		format = `\u%04X`
	}
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		fmt.Fprintf(b, format, high)
		r = low
	}
	fmt.Fprintf(b, format, r)
}

// inShell is what `set -x` shows of a word with quotes.
func inShell(s string) []string { return []string{strings.ReplaceAll(s, "'", `'\''`)} }
