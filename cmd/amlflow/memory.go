package main

import (
	"math"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// frugalLimit is what verbs that only read files hold in memory before it is cleaned
// up more often. It costs small files nothing, and keeps a pipeline of ten thousand
// stages below 200 MB with the program itself, which is half of that.
const frugalLimit = 75 << 20

// frugal bounds the memory of the verbs of authors, unless GOMEMLIMIT does.
func frugal(c *cobra.Command) {
	if c.GroupID == groupAuthor && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(frugalLimit)
	}
}
