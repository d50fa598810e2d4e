package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine says in a few words what was measured on, and whether it was busy before.
func machine() string {
	words := fmt.Sprintf("%d processors", runtime.NumCPU())
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		words += " (" + model + ")"
	}
	kilobytes := 0.0
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kilobytes); err == nil {
		words += fmt.Sprintf(", %.0f GiB", kilobytes/(1<<20))
	}
	system := runtime.GOOS
	if name := strings.Trim(strings.TrimPrefix(field("/etc/os-release", "PRETTY_NAME"), "="), `"`); name != "" {
		system = name
	}
	words += ", " + system
	if load, _, ok := strings.Cut(field("/proc/loadavg", ""), " "); ok {
		words += ", load " + load + " before"
	}
	return words
}

// field is the value of the first line of a file that begins with the name; "" where there is none.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, " \t:="))
		}
	}
	return ""
}
