package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/workers/target"
)

// introduce confirms what a person trusts, and returns what is left to confirm.
func introduce(ctx context.Context, d target.Driver, t target.Target, trust []string) ([]target.Introduction, error) {
	i, ok := d.(target.Introducer)
	if !ok {
		if len(trust) > 0 {
			return nil, usage(fmt.Errorf("targets of kind %q show no fingerprint: leave out --trust", t.Kind))
		}
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	all, err := i.Introduce(ctx, t)
	if err != nil {
		return nil, ended{exitUnreachable, fmt.Errorf("ask target %q who it is: %s", t.Name, plainly(err))}
	}
	var known, left []target.Introduction
	for _, one := range all {
		if slices.Contains(trust, one.Mark) {
			known = append(known, one)
		} else {
			left = append(left, one)
		}
	}
	for _, mark := range trust {
		if len(left) > 0 && !slices.ContainsFunc(known, func(one target.Introduction) bool { return one.Mark == mark }) {
			return nil, ended{exitNotAllowed, fmt.Errorf("target %q shows no %q, but %s: it may not be the one that you think it is", t.Name, mark, fingerprints(all))}
		}
	}
	if len(left) > 0 || len(known) == 0 {
		return left, nil
	}
	return nil, i.Confirm(ctx, t, known)
}

func fingerprints(all []target.Introduction) string {
	var words []string
	for _, one := range all {
		words = append(words, one.Mark)
	}
	return join(words)
}

func (p *program) sayUnconfirmed(left []target.Introduction) {
	again := "repeat the command with"
	for _, one := range left {
		p.say("the %s of %s is\n  %s", one.What, one.Of, one.Mark)
		p.say("  %s", one.Advice)
		again += " --trust " + one.Mark
	}
	p.say("nothing was written; if that is right, %s", again)
}
