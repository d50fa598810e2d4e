package main

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) endpointTrafficVerb() *cobra.Command {
	var stop bool
	var why string
	v := &cobra.Command{
		Use: "traffic NAME [VERSION=WEIGHT…]", Short: "Show who answers an endpoint, or share its requests anew",
		Long: `Traffic shows which versions of an endpoint answer how much of its requests, and
who wanted that. With VERSION=WEIGHT it shares them anew, from the next request on;
a version is named by its id or the beginning of it, such as the run that has
deployed it. Versions that get none stay ready, so that they can have requests
again at once; with --stop they stop. A run that moves the requests of the endpoint
meanwhile stops doing so.`,
		Args: takes(1, -1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := p.endpoint(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(args) > 1 {
				shares, err := sharesOf(args[1:], s.Ready())
				if err != nil {
					return err
				}
				changed, err := engine.Move(cmd.Context(), s, shares, stop, byHand(why))
				if err != nil {
					return err
				}
				if !changed {
					p.say("it is so already")
				}
				if s, err = p.endpoint(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			t, err := engine.Traffic(cmd.Context(), s)
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(trafficRecord(s, t))
			}
			p.showVersions(s.Endpoint)
			p.showWho(t)
			return nil
		},
	}
	v.Flags().BoolVar(&stop, "stop", false, "stop the versions that get no requests")
	v.Flags().StringVar(&why, "why", "", "the reason, for the endpoint's history")
	return p.prints(v, "json")
}

// byHand is the reason of a change that a person makes.
func byHand(why string) string {
	who := "somebody"
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	if why == "" {
		return "by hand, by " + who
	}
	return fmt.Sprintf("%s (by hand, by %s)", why, who)
}

// sharesOf reads VERSION=WEIGHT.
func sharesOf(args, ready []string) ([]target.Share, error) {
	var shares []target.Share
	sum := 0.0
	for _, a := range args {
		name, weight, ok := strings.Cut(a, "=")
		w, err := strconv.ParseFloat(strings.TrimSuffix(weight, "%"), 64)
		if !ok || err != nil || !(w >= 0) || w > 1e6 {
			return nil, usage(fmt.Errorf("%q is not VERSION=WEIGHT, such as 4lxi44kf=10", a))
		}
		id, err := engine.Version(name, ready)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(shares, func(s target.Share) bool { return s.Deployment == id }) {
			return nil, usage(fmt.Errorf("%q is given two weights", id))
		}
		shares = append(shares, target.Share{Deployment: id, Weight: w})
		sum += w
	}
	if sum == 0 {
		return nil, usage(fmt.Errorf("nobody would answer: give one version a weight above 0"))
	}
	return shares, nil
}

type trafficJSON struct {
	Endpoint string           `json:"endpoint"`
	Versions []target.Version `json:"versions"`
	Split    string           `json:"split,omitempty"`
	Run      string           `json:"run,omitempty"`
	Stage    string           `json:"stage,omitempty"`
	Why      string           `json:"why,omitempty"`
}

func trafficRecord(s engine.Served, t workers.Traffic) trafficJSON {
	return trafficJSON{s.Name, append([]target.Version{}, s.Versions...), t.Split, t.Run, t.Stage, t.Why}
}

// showVersions are the versions of an endpoint that are ready.
func (p *program) showVersions(e target.Endpoint) {
	rows := [][]string{p.heading("VERSION", "WEIGHT", "STATE", "READY", "SINCE", "MODEL")}
	for _, v := range e.Versions {
		rows = append(rows, []string{v.Deployment, weight(v), state(p.colourOut, v.State), ready(v.Instances), ago(v.Since), or(string(v.Model), "-")})
	}
	table(p.out, rows)
}

func weight(v target.Version) string {
	switch {
	case v.Mirror:
		return "copies"
	case v.Weight > 0:
		return number(100*v.Weight) + " %"
	}
	return "0"
}

// showWho says who wanted the requests to be shared like this.
func (p *program) showWho(t workers.Traffic) {
	switch {
	case t.Run != "":
		p.print("by run %s, stage %s: %s", t.Run, t.Stage, clean(or(t.Why, "the last that was ready")))
	case t.Why != "":
		p.print("%s", clean(t.Why))
	}
}

// showHistory is what was decided about an endpoint, the newest first.
func (p *program) showHistory(changes []target.Change) {
	const most = 10
	rows := [][]string{p.heading("WHEN", "WHAT", "RUN", "WHY")}
	for i, c := range slices.Backward(changes) {
		if len(rows) > most {
			rows = append(rows, []string{"…", fmt.Sprintf("%d more; -o json has all", i+1)})
			break
		}
		rows = append(rows, []string{c.At.Local().Format(time.DateTime), changed(c), or(c.Run, "-"), clean(c.Why)})
	}
	table(p.out, rows)
}

func changed(c target.Change) string {
	if c.Split == nil {
		return strings.TrimSpace(c.What + " " + c.Deployment)
	}
	sum, parts := 0.0, []string{}
	for _, s := range c.Split.Shares {
		sum += s.Weight
	}
	for _, s := range c.Split.Shares {
		parts = append(parts, fmt.Sprintf("%s %s %%", s.Deployment, number(100*s.Weight/sum)))
	}
	if c.Split.Mirror != "" {
		parts = append(parts, fmt.Sprintf("copies to %s %s %%", c.Split.Mirror, number(c.Split.MirrorPercent)))
	}
	return "split " + strings.Join(parts, ", ")
}
