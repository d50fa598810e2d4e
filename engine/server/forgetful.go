//go:build forgetful

package server

// In this build no worker keeps a workflow in memory between two looks at it: each time
// it is carried out again from its history, as after the death of a worker. What a
// workflow does differently the second time is found by the tests of everything.
const remembered = 0
