// Package builtin is the list of drivers that this program has.
package builtin

import (
	"path/filepath"

	"github.com/amlflow/amlflow/workers/cluster"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/ssh"
	"github.com/amlflow/amlflow/workers/target"
)

// Options say what the drivers of this computer need to know about it.
type Options struct {
	Home string // the state folder
	// StartGateway starts the process that serves the endpoints of a folder.
	StartGateway func(dir string) error
}

// Drivers returns every driver by the kind of target that it knows. A new one is
// a line here and a folder beside this one.
func Drivers(o Options) map[string]target.Driver {
	return byKind(
		local.Driver{Dir: filepath.Join(o.Home, "local"), StartGateway: o.StartGateway},
		ssh.New(),
		cluster.New(filepath.Join(o.Home, "cluster")),
	)
}

func byKind(drivers ...target.Driver) map[string]target.Driver {
	m := make(map[string]target.Driver, len(drivers))
	for _, d := range drivers {
		m[d.Kind().Name] = d
	}
	return m
}
