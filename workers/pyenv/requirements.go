package pyenv

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/amlflow/amlflow/workers/target"
)

// Lines returns what pip is asked for, one logical line each: the requirements
// without comments, empty lines and continuations, then the packages. Their order
// stays, because pip reads options in order. What means something only beside the
// files of one computer is refused with target.ErrPermanent.
func Lines(p target.Python) ([]string, error) {
	var lines []string
	for _, l := range logical(p.Requirements) {
		if err := check(l.text); err != nil {
			return nil, fmt.Errorf("requirements line %d, %q, %w: %w", l.number, shown(l.text), err, target.ErrPermanent)
		}
		lines = append(lines, l.text)
	}
	for _, text := range p.Packages {
		l, err := single(text)
		if err != nil {
			return nil, fmt.Errorf("package %q %w: %w", shown(text), err, target.ErrPermanent)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// single reads a text that is one requirement and nothing else.
func single(text string) (string, error) {
	all := logical(text)
	if len(all) != 1 || strings.HasPrefix(all[0].text, "-") {
		return "", errors.New("is not a requirement: write a name, such as numpy or numpy==2.1.0; options belong into a requirements file")
	}
	return all[0].text, check(all[0].text)
}

// line is a logical line of a requirements file and where it begins.
type line struct {
	number int
	text   string
}

var (
	comment = regexp.MustCompile(`(^|\s+)#.*$`)
	blanks  = regexp.MustCompile(`[ \t]+`)
)

// logical reads a requirements file as pip does: a backslash at the end of a line
// joins the next one to it, unless the line is a comment.
func logical(text string) []line {
	var out []line
	var open *line
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\uFEFF"), "\r\n", "\n")
	physical := strings.Split(text, "\n")
	for i, l := range physical {
		isComment := strings.HasPrefix(strings.TrimLeft(l, " \t"), "#")
		more := strings.HasSuffix(l, `\`) && !isComment && i < len(physical)-1
		if isComment {
			l = " " + l // so that it is seen as one behind what it is joined to
		}
		if open == nil {
			open = &line{number: i + 1}
		}
		open.text += strings.TrimRight(l, `\`)
		if more {
			continue
		}
		open.text = strings.TrimSpace(blanks.ReplaceAllString(comment.ReplaceAllString(open.text, ""), " "))
		if open.text != "" {
			out = append(out, *open)
		}
		open = nil
	}
	return out
}

// The options that a requirements file may hold: those that say where packages
// come from and which of them will do.
var (
	fileOptions = []string{"-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--pre", "--prefer-binary", "--no-binary", "--only-binary", "--require-hashes", "--trusted-host", "--use-feature"}
	lineOptions = []string{"--hash", "--config-settings"}
)

// check refuses what another computer could not install from this text alone.
func check(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		return errors.New("holds a character that cannot be seen: remove it")
	}
	requirement, options := text, ""
	for at := 0; at < len(text); at++ {
		if text[at] == '-' && (at == 0 || text[at-1] == ' ') {
			requirement, options = strings.TrimSpace(text[:at]), text[at:]
			break
		}
	}
	if requirement == "" {
		return checkOptions(options, fileOptions)
	}
	if err := checkRequirement(requirement); err != nil {
		return err
	}
	return checkOptions(options, lineOptions)
}

func checkOptions(text string, allowed []string) error {
	if strings.ContainsAny(text, `'"\`) {
		return errors.New("has a quote or a backslash in an option: write it without")
	}
	for _, word := range strings.Fields(text) {
		name, _, _ := strings.Cut(word, "=")
		switch {
		case !strings.HasPrefix(word, "-"):
			if err := checkAddress(word); err != nil {
				return err
			}
		case slices.Contains(allowed, name):
			if err := checkAddress(strings.TrimPrefix(word[len(name):], "=")); err != nil {
				return err
			}
		case strings.HasPrefix(word, "-r"), strings.HasPrefix(word, "-c"), strings.HasPrefix(word, "--req"), strings.HasPrefix(word, "--cons"):
			return errors.New("reads another file, and only this text reaches the target: write its lines out here")
		case strings.HasPrefix(word, "-e"), strings.HasPrefix(word, "--ed"):
			return errors.New("installs a folder of this computer: put the code into the stage's code folder, and only its requirements here")
		default:
			return fmt.Errorf("has the option %q, which cannot be used here: these can: %s", name, strings.Join(allowed, " "))
		}
	}
	return nil
}

// checkAddress looks at the value of an option: a path or an address, or neither.
func checkAddress(value string) error {
	if scheme, _, ok := strings.Cut(value, "://"); ok {
		return checkURL(scheme, value)
	}
	if isPath(value) {
		return errors.New("names a path of one computer: name an address that begins with https://")
	}
	return nil
}

var (
	project = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?) ?(?:\[[^\]]*\])? ?(.*)$`)
	archive = regexp.MustCompile(`(?i)\.(whl|zip|tar|tgz|tar\.[a-z0-9]+)$`)
)

func checkRequirement(text string) error {
	if scheme, _, ok := strings.Cut(text, "://"); ok && !strings.ContainsAny(scheme, " @;") {
		return checkURL(scheme, text)
	}
	m := project.FindStringSubmatch(text)
	switch {
	case isPath(text) || archive.MatchString(text) && !strings.Contains(text, "://"):
		return errors.New("is a path, and only this text reaches the target: name the package, or an address that begins with https://")
	case m == nil:
		return errors.New("is not a requirement: write a name, such as numpy or numpy==2.1.0")
	case strings.HasPrefix(m[2], "@"):
		address := strings.TrimSpace(m[2][1:])
		scheme, _, _ := strings.Cut(address, "://")
		return checkURL(scheme, address)
	case m[2] != "" && !strings.ContainsRune("<>=!~(;", rune(m[2][0])):
		return errors.New("is not a requirement: write a name, such as numpy or numpy==2.1.0")
	}
	return nil
}

func isPath(text string) bool {
	return strings.HasPrefix(text, ".") || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "~") || strings.HasPrefix(text, "file:")
}

// checkURL lets pass what every computer can fetch, and no password: this text is
// part of the plan, which is stored.
func checkURL(scheme, address string) error {
	if !slices.Contains([]string{"https", "http", "git+https"}, strings.ToLower(scheme)) {
		return errors.New("has an address that does not begin with https:// or git+https://: name the package, or such an address")
	}
	address, _, _ = strings.Cut(address, " ")
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("has an address that cannot be read: correct it")
	}
	if _, has := u.User.Password(); has {
		return errors.New("holds a password, which would be stored with the run: put the address into pip's own file, ~/.config/pip/pip.conf, or into PIP_INDEX_URL")
	}
	return nil
}

// projectOf returns the name in a requirement; it is empty for an option.
func projectOf(text string) string {
	if strings.HasPrefix(text, "-") {
		return ""
	}
	if m := project.FindStringSubmatch(text); m != nil && !strings.Contains(m[1], "://") && !strings.HasPrefix(m[2], ":") {
		return m[1]
	}
	return shown(text)
}

var secret = regexp.MustCompile(`://[^/@\s]+@`)

// shown is text as it may be seen: without who is at an address, and short.
func shown(text string) string {
	text = secret.ReplaceAllString(text, "://****@")
	if r := []rune(text); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return text
}
