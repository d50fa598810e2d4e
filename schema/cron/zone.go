package cron

import (
	_ "embed"
	"strings"
	"time"
	_ "time/tzdata" // so that zones are the same on every computer, also without the system's files
)

//go:embed zones.txt
var zones string

// Zones returns the names of the time zones, for proposals.
func Zones() []string { return strings.Fields(zones) }

// KnowsZone reports whether a time zone has this name. "Local" is none: it would be
// another one on another computer.
func KnowsZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
