package schema

import (
	"path"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for text, want := range map[string]string{
		"./x.template.yaml":      "x.template.yaml",
		"../a/./x.template.yaml": "../a/x.template.yaml",
		"./a b/größe.yaml":       "a b/größe.yaml",
		"builtin/python-train":   "builtin/python-train",
		"git+https://Host.example/team/repo.git//a/x.template.yaml@v1.2":             "git+https://host.example/team/repo.git//a/x.template.yaml@v1.2",
		"git+https://host:8443/~u/r//x.yaml@release/1.0":                             "git+https://host:8443/~u/r//x.yaml@release/1.0",
		"git+ssh://git@HOST/r.git//x.yaml@main":                                      "git+ssh://git@host/r.git//x.yaml@main",
		"git+ssh://host/r.git//x.yaml@main":                                          "git+ssh://host/r.git//x.yaml@main",
		"git+file:///srv/Git/r.git//x.yaml@0123456789abcdef0123456789abcdef01234567": "git+file:///srv/Git/r.git//x.yaml@0123456789abcdef0123456789abcdef01234567",
	} {
		r, problem := ParseRef("template", text)
		if problem != nil {
			t.Errorf("%q was refused: %v", text, problem)
		} else if r.String() != want {
			t.Errorf("%q became %q", text, r)
		}
	}
}

// Each of these must say what to write instead, and none may show a password.
func TestHostileRefs(t *testing.T) {
	for text, cure := range map[string]string{
		"":                                    "ends in",
		"/etc/passwd":                         "./…",
		"~/x.template.yaml":                   "./…",
		"x.template.yaml":                     "./x.template.yaml",
		"python-train":                        "builtin/python-train",
		".":                                   "ends in",
		"./":                                  "ends in",
		"../..":                               "ends in",
		`.\x.template.yaml`:                   "letters",
		"./a\nb":                              "letters",
		"./a\u202eb":                          "letters",
		"builtin/":                            "builtin/NAME",
		"builtin/../x":                        "builtin/NAME",
		"builtin/Train":                       "builtin/NAME",
		"builtin/python-train@1.0":            "write builtin/python-train",
		"https://host/r.git":                  "git+https",
		"http://host/r.git":                   "git+https",
		"git@host:r.git":                      "git+ssh",
		"git+http://h/r//x@v1":                "git+https",
		"git+ext::sh -c id//x@v":              "git+https",
		"git+ext://h/r//x@v":                  "git+https",
		"git+git://h/r//x@v":                  "git+https",
		"git+https://h/r.git":                 "//",
		"git+https://h/r.git//x":              "@",
		"git+https://h/r.git//@v1":            "top of the repository",
		"git+https://h/r.git//../x@v1":        "top of the repository",
		"git+https://h/r.git//a/../../x@v1":   "top of the repository",
		"git+https://h/r.git//-x@v1":          "top of the repository",
		"git+https://h/r.git//.git/config@v1": "top of the repository",
		"git+https://h/r.git//.GIT/config@v1": "top of the repository",
		"git+https://h/r.git///x@v1":          "top of the repository",
		"git+https://h/r.git//:(glob)x@v1":    "top of the repository",
		"git+https://h/r.git//x@--upload-pack=id":                 "tag or branch",
		"git+https://h/r.git//x@-v":                               "tag or branch",
		"git+https://h/r.git//x@a..b":                             "tag or branch",
		"git+https://h/r.git//x@a b":                              "tag or branch",
		"git+https://h/r.git//x@v1@{1}":                           "tag or branch",
		"git+https://h/r.git//x@refs/.x":                          "tag or branch",
		"git+https://h/r.git//x@a.lock":                           "tag or branch",
		"git+https://h/r.git//x@":                                 "tag or branch",
		"git+https://-h/r.git//x@v1":                              "HOST",
		"git+https:///r.git//x@v1":                                "HOST",
		"git+https://h//x@v1":                                     "without ..",
		"git+https://h/-r//x@v1":                                  "",
		"git+https://h/a/../r//x@v1":                              "without ..",
		"git+https://user:hunter2@h/r//x@v1":                      "credential helper",
		"git+https://hunter2@h/r//x@v1":                           "credential helper",
		"git+ssh://git:hunter2@h/r//x@v1":                         "credential helper",
		"git+ssh://a@hunter2@h/r//x@v1":                           "",
		"git+ssh://-oProxyCommand=id/r//x@v1":                     "HOST",
		"git+ssh://-l@h/r//x@v1":                                  "git@",
		"git+file://host/r//x@v1":                                 "git+file:///PATH",
		"git+file:///a/../b//x@v1":                                "without ..",
		"git+file:////x@v1":                                       "",
		"git+https://h/r//" + strings.Repeat("a", maxRef) + "@v1": "shorter",
	} {
		r, problem := ParseRef("template", text)
		if problem == nil {
			t.Errorf("%q was taken as %#v", text, r)
			continue
		}
		if problem.Code != "bad-reference" || problem.Hint == "" || !strings.Contains(problem.Hint, cure) {
			t.Errorf("%q gives %v", text, problem)
		}
		if strings.Contains(problem.Error(), "hunter2") {
			t.Errorf("%q shows what may be a password: %v", text, problem)
		}
	}
	for _, text := range []string{"builtin/x", "git+https://h/r//x@v1", "https://h/x"} {
		if r, problem := ParseRef("pipeline", text); problem == nil {
			t.Errorf("the pipeline %q was taken as %#v", text, r)
		}
	}
	if r, problem := ParseRef("pipeline", "evaluate.pipeline.yaml"); problem != nil || r.Path != "evaluate.pipeline.yaml" {
		t.Errorf("a plain path of a pipeline gives %v, %v", r, problem)
	}
}

func TestBeside(t *testing.T) {
	from := Ref{Repo: "https://h/r", Inside: "a/b/x.yaml", At: "v1"}
	for file, want := range map[string]string{"y.yaml": "a/b/y.yaml", "../y.yaml": "a/y.yaml", "../../y.yaml": "y.yaml", "../../../y.yaml": "", "../../.git/config": "", "-y": ""} {
		got, ok := from.Beside(file)
		if ok != (want != "") || got.Inside != want {
			t.Errorf("%q beside %q is %q, %t", file, from.Inside, got.Inside, ok)
		}
	}
}

// What is taken is clean, and reading its text again gives it again.
func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"./x.template.yaml", "../a/x", "builtin/python-train", "git+https://h/r.git//a/x.yaml@v1", "git+ssh://git@h:22/r//x@main", "git+file:///r//x@v", "git+https://a@b@c/r//x@v", "git@h:r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, problem := ParseRef("template", text)
		if problem != nil {
			if problem.Hint == "" || problem.Message == "" {
				t.Fatalf("no cure for %q: %v", text, problem)
			}
			return
		}
		if r.Repo != "" {
			if strings.ContainsAny(r.Repo+r.Inside+r.At, " \t\n'\"`$\\%?#{}[]*:|&;<>,!") && !strings.Contains(r.Repo, ":") {
				t.Fatalf("%q gives %#v", text, r)
			}
			if strings.HasPrefix(r.Inside, "-") || strings.HasPrefix(r.At, "-") || path.Clean("/"+r.Inside) != "/"+r.Inside || strings.Contains(r.Inside, "@") {
				t.Fatalf("%q gives %#v", text, r)
			}
		}
		if r.Path != "" {
			return // its clean form has lost the ./ that it is told by
		}
		again, problem := ParseRef("template", r.String())
		if problem != nil || again != r {
			t.Fatalf("%q becomes %q, which becomes %#v, %v", text, r, again, problem)
		}
	})
}
