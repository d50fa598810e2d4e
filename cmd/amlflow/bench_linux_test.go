package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// peers are what others take to check 10,000 stages, in seconds: medians that were
// measured on a quiet machine with 2 cores. They stand beside our figures and are not
// measured here.
var peers = map[string]map[string]float64{
	"chain": {"dagu-s": 0.75, "zigflow-s": 0.18},
	"fan":   {"dagu-s": 0.90, "zigflow-s": 0.31},
}

// BenchmarkTenThousandStages measures whole commands on files of 10,000 stages: their
// time, and the most memory that they held.
func BenchmarkTenThousandStages(b *testing.B) {
	dir := b.TempDir()
	exe := filepath.Join(dir, "amlflow")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", exe, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for _, shape := range []string{"chain", "fan", "data"} {
		file := filepath.Join(dir, shape, shape+pipelineSuffix)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(tenThousand(shape)), 0o644); err != nil {
			b.Fatal(err)
		}
		for _, verb := range []string{"validate", "plan"} {
			b.Run(verb+"-"+shape, func(b *testing.B) {
				most := int64(0)
				for b.Loop() {
					c := exec.Command(exe, verb, file, "--no-color")
					c.Env = append(os.Environ(), "AMLFLOW_HOME="+filepath.Join(dir, "state"))
					if out, err := c.CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
					if use, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
						most = max(most, use.Maxrss)
					}
				}
				b.ReportMetric(float64(most)/1024, "max-MiB")
				for name, seconds := range peers[shape] {
					b.ReportMetric(seconds, name)
				}
			})
		}
	}
}

// tenThousand is a pipeline of that many stages: each after the one before it, all
// side by side with one behind them, or each with a result of the one before it.
func tenThousand(shape string) string {
	const n = 10_000
	var b strings.Builder
	fmt.Fprintf(&b, "amlflow: v1\npipeline: %s\nstages:\n", shape)
	var all []string
	for i := range n {
		switch {
		case shape == "data" && i > 0:
			fmt.Fprintf(&b, "  s%d: { run: \"echo ${{ stages.s%d.outputs.a }}\", outputs: { a: integer } }\n", i, i-1)
		case shape == "data":
			b.WriteString("  s0: { run: \"true\", outputs: { a: integer } }\n")
		case shape == "chain" && i > 0:
			fmt.Fprintf(&b, "  s%d: { needs: [s%d], run: \"true\" }\n", i, i-1)
		default:
			fmt.Fprintf(&b, "  s%d: { run: \"true\" }\n", i)
		}
		all = append(all, fmt.Sprint("s", i))
	}
	if shape == "fan" {
		fmt.Fprintf(&b, "  join: { needs: [%s], run: \"true\" }\n", strings.Join(all, ", "))
	}
	return b.String()
}
