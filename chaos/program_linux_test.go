package chaos

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

var (
	all  = flag.Bool("all", false, "try every fault, not only the short selection")
	seed = flag.Uint64("seed", 0, "what chance begins with; 0: the time")
)

// programs is the folder that the programs are built into.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	var err error
	if programs, err = os.MkdirTemp("", "amlflow-chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// program is amlflow as it is released, or with the build tags of the tests, built once
// for all of them.
var program = sync.OnceValues(func() (string, error) { return build("amlflow", "-tags", tags()) })

// tags are the build tags of this test program.
func tags() string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			return s.Value
		}
	}
	return ""
}

// build builds the program with the embedded engine, under a name of its own.
func build(name string, flags ...string) (string, error) {
	path := filepath.Join(programs, name)
	c := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "../cmd/amlflow")...)
	if words, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", c.Args, err, words)
	}
	return path, nil
}

// chance is the source of everything random in a test, and says how to have the
// same again.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	name := fnv.New64()
	name.Write([]byte(t.Name()))
	t.Logf("seed %d: go test ./chaos -all -run '^%s$' -seed %d", *seed, t.Name(), *seed)
	return rand.New(rand.NewPCG(*seed, name.Sum64()))
}

// long marks a fault that is not in the short selection.
func long(t *testing.T) {
	t.Helper()
	if !*all {
		t.Skip("not in the short selection: go test ./chaos -all")
	}
}
