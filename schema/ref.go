package schema

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// Ref is what a text after `uses` or `pipeline` names. Exactly one of Path, Builtin
// and Repo is set.
type Ref struct {
	Path    string // of a file, from the folder of the file that names it
	Builtin string // name of a template that comes with amlflow
	Repo    string // address of a git repository, as git takes it
	Inside  string // path in the repository, clean and relative
	At      string // tag, branch or commit
}

// The prefixes that tell references apart.
const (
	builtinPrefix = "builtin/"
	gitPrefix     = "git+"
)

// maxRef bounds a reference, which must fit on one line as a key of the lock.
const maxRef = 500

// String is the reference in its one form: equal references are equal texts.
func (r Ref) String() string {
	switch {
	case r.Repo != "":
		return gitPrefix + r.Repo + "//" + r.Inside + "@" + r.At
	case r.Builtin != "":
		return builtinPrefix + r.Builtin
	}
	return r.Path
}

// Beside is the file that a path names when a file of a repository says it: one of
// the same repository. It is false when the path leaves the repository.
func (r Ref) Beside(file string) (Ref, bool) {
	inside := path.Join(path.Dir(r.Inside), file)
	if !cleanInside(inside) {
		return Ref{}, false
	}
	r.Inside = inside
	return r, true
}

// Local reports whether the repository is a folder of this computer.
func (r Ref) Local() bool { return strings.HasPrefix(r.Repo, "file://") }

// IsCommit reports whether the reference names a commit, which never changes.
func (r Ref) IsCommit() bool { return commitForm.MatchString(r.At) }

var (
	nameForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	commitForm = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	userForm   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]*$`)
	stepForm   = regexp.MustCompile(`^[A-Za-z0-9._~+][A-Za-z0-9._~+-]*$`)
	atForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$`)
	schemeForm = regexp.MustCompile(`^([a-z0-9+.-]+)://`)
)

// ParseRef reads a reference of a kind, "template" or "pipeline". The finding has no
// place yet.
func ParseRef(kind, text string) (Ref, *diag.Finding) {
	if len(text) > maxRef {
		return Ref{}, badRef(fmt.Sprintf("a reference has at most %d characters", maxRef), "use shorter names")
	}
	for _, c := range text {
		if c < ' ' || c == 0x7f || c == '\\' || hidden(c) {
			return Ref{}, badRef(fmt.Sprintf("%q holds a character that no reference has", masked(text)), "write it with letters, digits and / . _ -")
		}
	}
	if kind == "pipeline" {
		return parsePath(kind, text)
	}
	if name, ok := strings.CutPrefix(text, builtinPrefix); ok {
		return parseBuiltin(name)
	}
	if rest, ok := strings.CutPrefix(text, gitPrefix); ok {
		return parseGit(text, rest)
	}
	if hint := almostGit(text); hint != "" {
		return Ref{}, badRef(fmt.Sprintf("%q is not a reference to a template", masked(text)), hint)
	}
	return parsePath(kind, text)
}

// gitExample is the form of a reference into a repository.
const gitExample = "git+https://HOST/REPOSITORY.git//PATH@REF"

// almostGit is the cure for addresses that other programs take.
func almostGit(text string) string {
	switch scheme := schemeForm.FindStringSubmatch(text); {
	case scheme != nil && (scheme[1] == "https" || scheme[1] == "ssh" || scheme[1] == "file"):
		return "write " + gitExample
	case scheme != nil:
		return "write " + gitExample + ", or git+ssh://"
	case strings.HasPrefix(text, "git@"):
		return "write git+ssh://git@HOST/REPOSITORY.git//PATH@REF"
	}
	return ""
}

func badRef(message, hint string) *diag.Finding {
	return &diag.Finding{Severity: diag.Error, Code: "bad-reference", Message: message, Hint: hint}
}

func parsePath(kind, text string) (Ref, *diag.Finding) {
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "~") {
		return Ref{}, badRef(fmt.Sprintf("%q is not a path from this file", text), "write it as ./… or ../…")
	}
	if schemeForm.MatchString(text) || strings.HasPrefix(text, gitPrefix) || strings.HasPrefix(text, builtinPrefix) {
		return Ref{}, badRef(fmt.Sprintf("a %s is named by its path, not %q", kind, masked(text)), "copy the file beside this one, and write its path")
	}
	clean := path.Clean(text)
	if clean == "." || clean == ".." || strings.HasSuffix(clean, "/..") || strings.HasSuffix(text, "/") {
		return Ref{}, badRef(fmt.Sprintf("%q names a folder", text), fmt.Sprintf("name a file that ends in .%s.yaml", kind))
	}
	if kind == "template" && !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		hint := fmt.Sprintf("write ./%s for a file beside this one", clean)
		if !strings.ContainsAny(text, "/.") {
			hint = fmt.Sprintf("write builtin/%s for one that comes with amlflow, or ./PATH for a file", text)
		}
		return Ref{}, badRef(fmt.Sprintf("%q is not a reference to a template", text), hint)
	}
	return Ref{Path: clean}, nil
}

func parseBuiltin(name string) (Ref, *diag.Finding) {
	if plain, version, versioned := strings.Cut(name, "@"); versioned && nameForm.MatchString(plain) {
		return Ref{}, badRef(fmt.Sprintf("a template that comes with amlflow has amlflow's version, not %q", version), "write builtin/"+plain)
	}
	if !nameForm.MatchString(name) {
		return Ref{}, badRef(fmt.Sprintf("%q is not the name of a template that comes with amlflow", name), "write builtin/NAME; `amlflow template list --builtin` lists them")
	}
	return Ref{Builtin: name}, nil
}

// parseGit reads git+SCHEME://PLACE//PATH@REF; rest is without "git+".
func parseGit(text, rest string) (Ref, *diag.Finding) {
	bad := func(why, hint string) (Ref, *diag.Finding) {
		return Ref{}, badRef(fmt.Sprintf("%s: %q", why, masked(text)), hint)
	}
	scheme, place, ok := strings.Cut(rest, "://")
	if !ok || scheme != "https" && scheme != "ssh" && scheme != "file" {
		return bad("templates are fetched by https, ssh or from a folder", "write "+gitExample+", git+ssh://… or git+file:///…")
	}
	at := strings.Index(place, "//")
	if at < 0 {
		return bad("this says no path in the repository", "add // and the path of the template, as in "+gitExample)
	}
	repo, inside := place[:at], place[at+2:]
	inside, ref, ok := strings.Cut(inside, "@")
	if !ok {
		return bad("this says no tag, branch or commit", "add @ and one of them, as in "+gitExample)
	}
	if !cleanInside(inside) {
		return bad(fmt.Sprintf("%q is not a path in a repository", inside), "write it from the top of the repository with letters, digits and / . _ -, and without ..")
	}
	if !cleanAt(ref) {
		return bad(fmt.Sprintf("%q is not a tag, branch or commit", ref), "write the name of a tag or branch, or a whole commit")
	}
	repo, why, hint := cleanRepo(scheme, repo)
	if why != "" {
		return bad(why, hint)
	}
	return Ref{Repo: scheme + "://" + repo, Inside: inside, At: ref}, nil
}

// masked hides what stands before the host, which may be a password.
func masked(text string) string {
	before, rest, _ := strings.Cut(text, "://")
	if place, _, _ := strings.Cut(rest, "//"); strings.Contains(place, "@") {
		return before + "://…" + rest[strings.LastIndex(place, "@"):]
	}
	return text
}

// cleanRepo checks host and path of a repository. Why is "" when both are fine.
func cleanRepo(scheme, repo string) (clean, why, hint string) {
	host, steps, _ := strings.Cut(repo, "/")
	user, place, named := strings.Cut(host, "@")
	switch {
	case named && scheme != "ssh" || strings.Contains(user, ":") && named:
		return "", "a reference holds no user name or password", "remove what stands before the @; git takes them from its credential helper or from ssh"
	case named && !userForm.MatchString(user):
		return "", fmt.Sprintf("%q is not a user", user), "write git+ssh://git@HOST/…"
	case scheme == "file" && host != "":
		return "", "a folder is written with three slashes", "write git+file:///PATH//PATH@REF"
	case scheme != "file" && !named && !hostForm.MatchString(host), named && !hostForm.MatchString(place):
		return "", "this names no host", "write " + gitExample
	}
	for step := range strings.SplitSeq(steps, "/") {
		if !stepForm.MatchString(step) || step == "." || step == ".." {
			return "", fmt.Sprintf("%q is not part of the path of a repository", step), "write it with letters, digits and / . _ ~ + -, and without .."
		}
	}
	if named {
		return user + "@" + strings.ToLower(place) + "/" + steps, "", ""
	}
	return strings.ToLower(host) + "/" + steps, "", ""
}

// cleanInside refuses paths that leave the repository, name its innards or could be
// taken for an option.
func cleanInside(inside string) bool {
	if inside == "" || path.Clean(inside) != inside || len(inside) > maxRef {
		return false
	}
	for step := range strings.SplitSeq(inside, "/") {
		if !stepForm.MatchString(step) || step == "." || step == ".." || strings.EqualFold(step, ".git") {
			return false
		}
	}
	return true
}

// cleanAt follows the rules of git for the names of tags and branches, and some more.
func cleanAt(at string) bool {
	if !atForm.MatchString(at) || strings.Contains(at, "..") || strings.HasSuffix(at, ".") || strings.HasSuffix(at, "/") {
		return false
	}
	for step := range strings.SplitSeq(at, "/") {
		if step == "" || strings.HasPrefix(step, ".") || strings.HasPrefix(step, "-") || strings.HasSuffix(step, ".lock") {
			return false
		}
	}
	return true
}
