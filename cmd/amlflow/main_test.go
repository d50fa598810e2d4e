package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program itself, for scripts and for the
// background processes that they start.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"amlflow": main})
}
