package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/server"

	"github.com/spf13/cobra"
)

func (p *program) serverVerb() *cobra.Command {
	return group("server", "Start, stop and look at the background server", p.serverStartVerb(), p.serverStopVerb(), p.serverStatusVerb(), p.serverRunVerb())
}

// defaultIdle is how long the server stays when there is nothing to do.
const defaultIdle = 5 * time.Minute

func (p *program) serverStartVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "start", Short: "Start the background server, unless it is there", Args: takes(0, 0),
		Long: `Start makes sure that the background server of the state folder answers. Every
verb that needs it does so by itself. It stops when it has had nothing to do for
a while ($AMLFLOW_IDLE, default 5m).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			w, err := p.workspace()
			if err != nil {
				return err
			}
			e, err := p.open(ctx, w, p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			return p.showServer(e.Info(), true)
		},
	}, "json")
}

func (p *program) serverStopVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "stop", Short: "Stop the background server; jobs and endpoints go on", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			seat, err := p.here()
			if err != nil {
				return err
			}
			_, there := server.Find(ctx, seat)
			left := ""
			if there {
				left = p.leaves(ctx)
			}
			if err := server.Stop(ctx, seat); err != nil {
				return err
			}
			if p.output == "json" {
				return p.showServer(server.Info{}, false)
			}
			if there {
				p.say("the server has stopped; jobs and endpoints go on")
				if left != "" {
					p.say("%s nothing until it is started again: `%s server start`, or any command that needs it", left, invocation())
				}
			} else {
				p.say("there was no server to stop")
			}
			return nil
		},
	}, "json")
}

// here is the seat that the flags and the workspace mean.
func (p *program) here() (server.Seat, error) {
	w, err := p.workspace()
	if err != nil {
		return server.Seat{}, err
	}
	return p.seat(w)
}

func (p *program) serverStatusVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "status", Short: "Say whether the background server is there", Args: takes(0, 0),
		Long: `Status prints where the background server is, and ends with 6 when there is none.
-o json prints {"pid","address","state_dir","workers":[{"pid"}]}; without a server
pid and address are null, and workers is empty.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			seat, err := p.here()
			if err != nil {
				return err
			}
			info, ok := server.Find(cmd.Context(), seat)
			if err := p.showServer(info, ok); err != nil {
				return err
			}
			if !ok {
				return silently(exitNotFound)
			}
			return nil
		},
	}, "json")
}

// serverRecord is the server as machines read it.
type serverRecord struct {
	PID      *int     `json:"pid"`
	Address  *string  `json:"address"` // of Temporal
	StateDir string   `json:"state_dir"`
	Workers  []worker `json:"workers"`
	Build    string   `json:"build,omitempty"`
}

type worker struct {
	PID int `json:"pid"`
}

func (p *program) showServer(i server.Info, there bool) error {
	r := serverRecord{StateDir: p.home, Workers: []worker{}}
	if there {
		r.PID, r.Address, r.Build = &i.PID, &i.Address.HostPort, i.Build
		r.Workers = append(r.Workers, worker{i.PID}) // the server follows jobs itself
	}
	if p.output == "json" {
		return p.json(r)
	}
	if !there {
		p.say("there is no server for %s; any command that needs one starts it", p.home)
		return nil
	}
	table(p.out, [][]string{{"server", fmt.Sprintf("process %d", i.PID)}, {"temporal", i.Address.String()}, {"state", p.home}})
	return nil
}

// serverRunVerb is the background process itself.
func (p *program) serverRunVerb() *cobra.Command {
	var file string
	v := &cobra.Command{
		Use: "run", Short: "Be the server, in the foreground", Args: takes(0, 0), Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return p.serve(ctx, file)
		},
	}
	v.Flags().StringVar(&file, "address-file", "", "file with the address of an external engine")
	return p.prints(v)
}

func (p *program) serve(ctx context.Context, addressFile string) error {
	log := slog.New(slog.NewTextHandler(p.err, nil))
	seat := server.Seat{Home: p.home}
	if addressFile != "" {
		address, err := server.ReadAddress(addressFile)
		if err != nil {
			return fmt.Errorf("read the address of the engine: %w", err)
		}
		seat.External = address
	} else if !cluster.Available {
		return cluster.ErrSlim
	}
	err := engine.Serve(ctx, engine.ServeOptions{Seat: seat, Build: build(), Idle: idle(os.Getenv("AMLFLOW_IDLE")), Drivers: p.drivers(), Log: log})
	if errors.Is(err, server.ErrTaken) {
		log.Info("another process serves this state folder already")
		return nil
	}
	return err
}

func idle(text string) time.Duration {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d
	}
	return defaultIdle
}
