package builtin

import "github.com/amlflow/amlflow/workers/target"

var added []func(Options) target.Driver

// Add adds a driver that lives outside of this module to the program. It is called
// by an init function of a file that whoever builds the program puts into its main
// package, so that nothing of ours has to be edited; see docs/drivers.md. A driver
// of a kind that there is already takes its place.
func Add(driver func(Options) target.Driver) { added = append(added, driver) }
