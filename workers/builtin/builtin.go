// Package builtin is the list of drivers that this program has.
package builtin

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/cluster"
	"github.com/amlflow/amlflow/workers/docker"
	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/slurm"
	"github.com/amlflow/amlflow/workers/ssh"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Options say what the drivers of this computer need to know about it.
type Options struct {
	Home string // the state folder
	// StartGateway starts the process that serves the endpoints of a folder.
	StartGateway func(dir string) error
	// StartTracking starts the process that answers jobs which log; see tracking.New.
	StartTracking tracking.Start
}

// Drivers returns every driver by the kind of target that it knows. A new one is
// a line here and a folder beside this one.
func Drivers(o Options) map[string]target.Driver {
	t := tracking.New(filepath.Join(o.Home, "tracking"), o.StartTracking)
	here := local.Driver{Dir: filepath.Join(o.Home, "local"), StartGateway: o.StartGateway, Tracking: t}
	// One gateway answers for all of them: an endpoint keeps its URL when its target
	// becomes one of another kind.
	g := gateway.Folder{Dir: here.GatewayDir(), Start: o.StartGateway}
	drivers := []target.Driver{
		here,
		docker.Driver{Dir: filepath.Join(o.Home, "docker")}.Serving(g),
		ssh.New().Owned(o.owner).Serving(g),
		cluster.New(filepath.Join(o.Home, "cluster"), t),
		slurm.New().Owned(o.owner),
	}
	for _, make := range added {
		drivers = append(drivers, make(o))
	}
	return byKind(drivers...)
}

// Hosts returns those of the drivers whose jobs can answer for endpoints.
func Hosts(drivers map[string]target.Driver) gateway.Hosts {
	hosts := gateway.Hosts{}
	for kind, d := range drivers {
		if h, ok := d.(gateway.Host); ok {
			hosts[kind] = h
		}
	}
	return hosts
}

// owner names the state folder on machines that it shares with others. It is empty as long as
// no run has begun.
func (o Options) owner() string {
	text, _ := os.ReadFile(filepath.Join(o.Home, "id"))
	id := strings.ToLower(strings.TrimSpace(string(text)))
	if strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return id
}

func byKind(drivers ...target.Driver) map[string]target.Driver {
	m := make(map[string]target.Driver, len(drivers))
	for _, d := range drivers {
		m[d.Kind().Name] = d
	}
	return m
}
