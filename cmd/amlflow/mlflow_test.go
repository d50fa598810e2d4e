package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// withMLflow is the folder of a python3 that has the client of MLflow and scikit-learn;
// empty: there is none.
var withMLflow = sync.OnceValue(func() string {
	return withPackages("AMLFLOW_TEST_MLFLOW", "import mlflow.tracking, sklearn, pandas")
})

// withOpenAPI is the folder of a python3 that has a validator of OpenAPI; empty: there is
// none.
var withOpenAPI = sync.OnceValue(func() string {
	return withPackages("AMLFLOW_TEST_OPENAPI", "import openapi_spec_validator, jsonschema")
})

// withPackages is the folder, in a variable or of the python3 that is found first, of a
// python3 that can import what a line says; empty: it cannot.
func withPackages(variable, imports string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		python, err := exec.LookPath("python3")
		if err != nil {
			return ""
		}
		dir = filepath.Dir(python)
	}
	if exec.Command(filepath.Join(dir, "python3"), "-c", imports).Run() != nil {
		return ""
	}
	return dir
}

// killTracking kills the process that answers jobs which log, as a crash would.
func killTracking(ts *testscript.TestScript, neg bool, _ []string) {
	killed := false
	for _, pid := range processesOf(ts.Getenv("AMLFLOW_HOME")) {
		args, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if strings.HasPrefix(string(args), "amlflow\x00tracking\x00") {
			ts.Check(syscall.Kill(pid, syscall.SIGKILL))
			killed = true
		}
	}
	if killed == neg {
		ts.Fatalf("the process that answers jobs was killed: %v", killed)
	}
}
