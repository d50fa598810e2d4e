package imports

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema"
)

// Change is what looking a reference up anew has brought.
type Change struct {
	Ref      string
	Old, New schema.Locked // New is empty when it is no longer used
	Params   []string      // what is different about the parameters, in words
}

// Update looks up what the tags and branches of the references, or of the whole lock,
// lead to now. Files are those of the workspace; refs may name others besides.
func (im *Importer) Update(files []string, refs []schema.Ref) ([]Change, *Survey, error) {
	forget := refs
	if len(refs) == 0 {
		for _, e := range im.lock.Entries {
			if r, bad := schema.ParseRef("template", e.Ref); bad == nil {
				forget = append(forget, r)
			}
		}
	}
	im.Forget(forget...)
	s, err := im.Survey(files)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range refs {
		if _, found := im.seen[r.String()]; !found {
			t, found := im.Add(r)
			s.Findings = append(s.Findings, found...)
			if t != nil {
				s.Sources = append(append(s.Sources, t.Source), t.Sources()...)
			}
		}
	}
	im.keepUnused()
	return im.changes(), s, nil
}

// keepUnused brings entries back that nothing has led to, unless their repository is
// at another commit now: files of one tag or branch belong together.
func (im *Importer) keepUnused() {
	for _, e := range im.old {
		if _, there := im.lock.Find(e.Ref); there {
			continue
		}
		r, bad := schema.ParseRef("template", e.Ref)
		other := slices.ContainsFunc(im.lock.Entries, func(o schema.Locked) bool {
			or, obad := schema.ParseRef("template", o.Ref)
			return obad == nil && or.Repo == r.Repo && or.At == r.At && o.Commit != e.Commit
		})
		if bad == nil && !other {
			im.lock.Set(e)
		}
	}
}

// changes compares the lock with what it was.
func (im *Importer) changes() []Change {
	var out []Change
	was := schema.Lock{Entries: im.old}
	for _, e := range im.old {
		if _, kept := im.lock.Find(e.Ref); !kept {
			out = append(out, Change{Ref: e.Ref, Old: e})
		}
	}
	for _, e := range im.lock.Entries {
		before, _ := was.Find(e.Ref)
		if before == e {
			continue
		}
		c := Change{Ref: e.Ref, Old: before, New: e}
		if before.Ref != "" {
			c.Params = im.compare(before, e)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Ref, b.Ref) })
	return out
}

// compare says how the parameters of two versions of a template differ. It is silent
// when the old one is no longer on this computer.
func (im *Importer) compare(before, now schema.Locked) []string {
	a, b := im.template(before), im.template(now)
	if a == nil || b == nil {
		return nil
	}
	return compareParams(a.Params, b.Params)
}

// template reads what was fetched of an entry.
func (im *Importer) template(e schema.Locked) *schema.Template {
	r, bad := schema.ParseRef("template", e.Ref)
	if bad != nil || kindOf(r) != "template" {
		return nil
	}
	text, err := readPlain(os.DirFS(im.unit(r, e.Commit)), path.Base(r.Inside), maxText)
	if err != nil {
		return nil
	}
	t, _ := schema.ReadTemplate(e.Ref, text)
	return t
}

// compareParams says how parameters differ, in words.
func compareParams(before, now []schema.Param) []string {
	var out []string
	find := func(list []schema.Param, name string) *schema.Param {
		if i := slices.IndexFunc(list, func(p schema.Param) bool { return p.Name == name }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for _, p := range before {
		if find(now, p.Name) == nil {
			out = append(out, fmt.Sprintf("parameter %q is gone", p.Name))
		}
	}
	for _, p := range now {
		switch was := find(before, p.Name); {
		case was == nil && p.Default == nil:
			out = append(out, fmt.Sprintf("parameter %q (%s) is new, and must be given", p.Name, p.Type))
		case was == nil:
			out = append(out, fmt.Sprintf("parameter %q (%s) is new, %v by default", p.Name, p.Type, p.Default))
		case was.Type != p.Type:
			out = append(out, fmt.Sprintf("parameter %q is %s, and was %s", p.Name, p.Type, was.Type))
		case fmt.Sprint(was.Default) != fmt.Sprint(p.Default):
			out = append(out, fmt.Sprintf("parameter %q is %s by default, and was %s", p.Name, wordOf(p.Default), wordOf(was.Default)))
		case bounds(*was) != bounds(p):
			out = append(out, fmt.Sprintf("parameter %q has other bounds", p.Name))
		}
	}
	return out
}

func wordOf(v any) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(v)
}

func bounds(p schema.Param) string {
	one := func(n *float64) string {
		if n == nil {
			return ""
		}
		return fmt.Sprint(*n)
	}
	return fmt.Sprint(one(p.Minimum), "|", one(p.Maximum), "|", p.Pattern, "|", p.Enum)
}
