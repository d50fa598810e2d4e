package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/builtin"
	"github.com/amlflow/amlflow/workers/target"
)

// program is what the verbs share: where to read and write, and the global flags.
type program struct {
	in       io.Reader
	out, err io.Writer

	output             string
	noColor            bool
	address, namespace string

	parsed               bool // the command line was understood
	home                 string
	colourOut, colourErr bool
}

func newProgram(in io.Reader, out, err io.Writer) *program {
	return &program{in: in, out: out, err: err}
}

// settle works out what depends on flags and variables, once they are known.
func (p *program) settle() error {
	home, err := stateFolder(os.Getenv)
	p.home = home
	p.colourOut, p.colourErr = p.colourful(p.out), p.colourful(p.err)
	if !slices.Contains([]string{"table", "json", "ndjson", "name", "text", "markdown", "csv"}, p.output) {
		return usage(fmt.Errorf("-o %q is not a form of output: use table, json, ndjson, name, text, markdown or csv", p.output))
	}
	return err
}

// stateFolder is where everything that must last is kept.
func stateFolder(env func(string) string) (string, error) {
	if home := env("AMLFLOW_HOME"); home != "" {
		return filepath.Abs(home)
	}
	if state := env("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "amlflow"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("there is no home folder to keep state in: set AMLFLOW_HOME to a folder: %w", err)
	}
	return filepath.Join(home, ".local", "state", "amlflow"), nil
}

// drivers are all that this program has, set up for the state folder.
func (p *program) drivers() map[string]target.Driver {
	return builtin.Drivers(builtin.Options{Home: p.home, StartGateway: p.startGateway, StartTracking: p.startTracking})
}

// workspace is the one of the current folder, for verbs that name no file.
func (p *program) workspace() (*schema.Workspace, error) {
	w, findings, err := engine.OpenWorkspace(".")
	if err != nil {
		return nil, err
	}
	return w, findings.Err()
}

// open connects to the engine that flags, variables or the workspace name, and
// starts the background server when none answers.
func (p *program) open(ctx context.Context, w *schema.Workspace, notice func(string)) (*engine.Engine, error) {
	o, err := p.engineOptions(w, notice)
	if err != nil {
		return nil, err
	}
	if o.External == nil && !cluster.Available {
		return nil, fmt.Errorf("%w: name a Temporal server with --address or `engine.address` in amlflow.yaml, or use the full build", cluster.ErrSlim)
	}
	return engine.Open(ctx, o)
}

func (p *program) engineOptions(w *schema.Workspace, notice func(string)) (engine.Options, error) {
	external, err := p.external(w, os.Getenv)
	return engine.Options{
		Home: p.home, External: external, Build: build(), Drivers: p.drivers(), Start: p.startServer,
		Notice: ofFullDisk(p.home, notice), Log: slog.New(slog.DiscardHandler),
	}, err
}

func (p *program) seat(w *schema.Workspace) (server.Seat, error) {
	external, err := p.external(w, os.Getenv)
	return server.Seat{Home: p.home, External: external}, err
}

// external is the address of another engine than the embedded one: flags come
// before variables, and variables before the workspace.
func (p *program) external(w *schema.Workspace, env func(string) string) (*cluster.Address, error) {
	a := cluster.Address{HostPort: first(p.address, env("AMLFLOW_ADDRESS"))}
	var wish schema.Engine
	if w != nil {
		wish = w.Engine
	}
	if a.HostPort == "" {
		a.HostPort = wish.Address
	} else if wish.Address != a.HostPort {
		wish = schema.Engine{} // its certificates and namespace belong to another server
	}
	if a.HostPort == "" {
		return nil, nil
	}
	a.Namespace = first(p.namespace, env("AMLFLOW_NAMESPACE"), wish.Namespace)
	a.APIKey = env("AMLFLOW_API_KEY")
	if name := wish.APIKeyEnv; a.APIKey == "" && name != "" {
		if a.APIKey = env(name); a.APIKey == "" {
			return nil, usage(fmt.Errorf("the workspace takes the engine's API key from the variable %q, which is not set", name))
		}
	}
	a.TLS = encryption(w, wish.TLS, env)
	return &a, a.Check()
}

func encryption(w *schema.Workspace, wish *schema.TLS, env func(string) string) *cluster.TLS {
	t := schema.TLS{CA: env("AMLFLOW_TLS_CA"), Cert: env("AMLFLOW_TLS_CERT"), Key: env("AMLFLOW_TLS_KEY"), ServerName: env("AMLFLOW_TLS_SERVER_NAME")}
	if wish == nil && t == (schema.TLS{}) {
		return nil
	}
	if wish != nil {
		at := func(file string) string {
			if file == "" || filepath.IsAbs(file) {
				return file
			}
			return filepath.Join(w.Dir, file)
		}
		t = schema.TLS{CA: first(t.CA, at(wish.CA)), Cert: first(t.Cert, at(wish.Cert)), Key: first(t.Key, at(wish.Key)), ServerName: first(t.ServerName, wish.ServerName)}
	}
	return &cluster.TLS{CA: whole(t.CA), Cert: whole(t.Cert), Key: whole(t.Key), ServerName: t.ServerName}
}

// whole makes a path mean the same in the background server, which lives in
// another folder.
func whole(file string) string {
	if abs, err := filepath.Abs(file); err == nil && file != "" && !strings.HasPrefix(file, "-----BEGIN") {
		return abs
	}
	return file
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// hostEnv is the part of this shell's environment that jobs on this computer
// start from. Everything else a job sees was declared.
func hostEnv(environ []string) map[string]string {
	m := map[string]string{}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ":
			m[k] = v
		default:
			if strings.HasPrefix(k, "LC_") {
				m[k] = v
			}
		}
	}
	return m
}

// interruptible ends with Ctrl-C or a polite request to stop.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx == nil {
		ctx = context.Background()
	}
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// interrupted tells a person's wish to stop watching from anything that went wrong.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && (errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled))
}
