package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/schema/cron"
)

// schedules checks the times at which runs begin by themselves, and what those runs
// are given.
func (c *checker) schedules() {
	first := map[string]string{}
	for _, s := range c.p.Schedules {
		c.scheduleName(s, first)
		c.scheduleTimes(s)
		c.scheduleParams(s)
		if _, known := c.w.Profile(s.Profile); s.Profile != "" && !known {
			var all []string
			for _, p := range c.w.Profiles {
				all = append(all, p.Name)
			}
			c.value("unknown-profile", s.Path+"/profile", c.nearest.hint(s.Profile, all, "profiles"), "no profile named %q in the workspace", s.Profile)
		}
	}
}

// scheduleName wants another name for each: they are how people speak of them.
func (c *checker) scheduleName(s Schedule, first map[string]string) {
	before, taken := first[s.Name]
	if first[s.Name] = s.Path; !taken || s.Name == "" {
		return
	}
	if c.valueOf(s.Path+"/name") == nil {
		c.key("missing-key", s.Path, "add `name: NAME`", "this schedule has no name of its own, and another one is called %q already, after the pipeline", s.Name)
		return
	}
	c.value("name-clash", s.Path+"/name", "give it another name", "the schedule on line %d is called %q, too", c.p.Source.At(before).Line, s.Name)
}

func (c *checker) scheduleTimes(s Schedule) {
	hasCron, hasEvery := c.valueOf(s.Path+"/cron") != nil, c.valueOf(s.Path+"/every") != nil
	switch {
	case hasCron && hasEvery:
		c.key("two-kinds", s.Path+"/every", "keep one, or make two schedules of it", "the schedule has both \"cron\" and \"every\"")
	case !hasCron && !hasEvery && !slices.ContainsFunc(c.p.Source.Keys(s.Path), saysWhen):
		c.key("missing-key", s.Path, "add `cron: \"0 3 * * *\"`, or `every: 6h`", "the schedule does not say when")
	case hasEvery && c.valueOf(s.Path+"/timezone") != nil:
		c.key("no-effect", s.Path+"/timezone", "remove it, or write `cron` instead of `every`", "`timezone` has no effect beside `every`, which counts from midnight UTC")
	}
	if text, ok := c.p.Source.Text(s.Path + "/cron"); ok {
		_, wrong := cron.Parse(text)
		for _, m := range wrong {
			c.within("bad-cron", s.Path+"/cron", m.From, m.End, m.Cure, "the times of the schedule cannot be read: "+m.What)
		}
	}
	if zone, ok := c.p.Source.Text(s.Path + "/timezone"); ok && !cron.KnowsZone(zone) {
		c.value("unknown-timezone", s.Path+"/timezone", zoneCure(zone), "no time zone is named %q", zone)
	}
	for _, key := range []string{"every", "catch_up", "jitter"} {
		c.time(s.Path + "/" + key)
	}
	if s.Every > 0 && s.Every%time.Second != 0 {
		c.value("wrong-value", s.Path+"/every", "write for example 10s, 15m or 6h", "a schedule counts in whole seconds")
	}
	if s.CatchUp > 0 && s.CatchUp < LeastCatchUp {
		c.value("wrong-value", s.Path+"/catch_up", fmt.Sprintf("write `%v` or more", LeastCatchUp), "a run is often a few seconds late, and would be left out")
	}
	if s.Every > 0 && s.Jitter >= s.Every {
		c.value("wrong-value", s.Path+"/jitter", "write less than `every` says", "runs would begin later than the next one is due")
	}
}

// saysWhen reports whether other tools write times under this key, so that there is a
// finding already.
func saysWhen(key string) bool {
	cure := habit("schedule", key)
	return strings.HasPrefix(cure, "write `cron:") || strings.HasPrefix(cure, "write `every:")
}

// zoneCure proposes a time zone for what was written.
func zoneCure(zone string) string {
	if near := (&nearest{}).name(zone, cron.Zones()); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write a name of the time zone database, such as Europe/Berlin, America/New_York or UTC"
}

// scheduleParams checks values against the parameters. One that must be given and is
// not here may still be given when the schedule is added.
func (c *checker) scheduleParams(s Schedule) {
	var names []string
	for _, p := range c.p.Params {
		names = append(names, p.Name)
		if v, given := s.Params[p.Name]; given && !p.Type.IsArtifact() {
			if _, problem := p.Accept(v); problem != "" {
				c.value("param-value", join(s.Path+"/params", p.Name), "change the value here, or the bounds of the parameter", "the schedule gives parameter %q a value that does not fit: %s", p.Name, problem)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		if !slices.Contains(names, name) {
			c.key("unknown-param", join(s.Path+"/params", name), c.nearest.hint(name, names, "parameters"), "pipeline %q has no parameter %q", c.p.Name, name)
		}
	}
}
