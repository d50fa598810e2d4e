//go:build !forgetful

package server

// remembered is how many workflows a worker keeps in memory between two looks at them.
const remembered = maxRuns
