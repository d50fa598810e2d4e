package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// frugalLimit is what verbs that only read files hold in memory before it is cleaned
// up more often. It costs small files nothing, and keeps a pipeline of ten thousand
// stages below 200 MB with the program itself, which is half of that.
const frugalLimit = 75 << 20

// A file of more than largeFile bytes needs about forty times its size, and is given
// more than that: at the limit all time would go into cleaning up.
const (
	largeFile    = 1 << 20
	timesItsSize = 100
)

// frugal bounds the memory of the verbs of authors, unless GOMEMLIMIT does.
func frugal(c *cobra.Command, args []string) {
	if c.GroupID != groupAuthor || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	limit := int64(frugalLimit)
	for _, name := range args {
		if info, err := os.Stat(name); err == nil && info.Size() > largeFile {
			limit += timesItsSize * info.Size()
		}
	}
	debug.SetMemoryLimit(limit)
}
