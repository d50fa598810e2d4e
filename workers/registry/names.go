package registry

import (
	"regexp"
	"strings"
)

var notInNames = regexp.MustCompile(`[^a-z0-9._-]+`)

// NameOf is the name that a model has here whose name elsewhere may have capitals,
// spaces and the like; empty when nothing is left of it.
func NameOf(name string) string {
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-._")
	if !ValidName(name) {
		return ""
	}
	return name
}
