// Package startup lets a command begin without cleaning up memory. More than eight
// hundred packages set themselves up before main, and most commands end a few
// hundredths of a second later: cleaning up in between was a quarter of the
// processor time of a short one.
//
// It must be set up before the others. Go takes, of the packages that are ready, the
// one whose import path is first in the alphabet; this one needs nearly nothing, and
// is ready when the first third has been set up.
package startup

import (
	"os"
	"runtime"
	"runtime/debug"
)

// The percentage of growth before memory is cleaned up; Go counts from 4 MiB on.
const (
	atFirst = 800 // so not before 32 MiB
	later   = 100 // what Go does by itself
)

func init() {
	if os.Getenv("GOGC") != "" {
		return // the person knows better
	}
	debug.SetGCPercent(atFirst)
	// The first cleaning finds this and says that the time of the beginning is over.
	runtime.AddCleanup(new([64]byte), func(percent int) { debug.SetGCPercent(percent) }, later)
}
