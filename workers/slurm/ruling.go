package slurm

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// details is what Slurm says of one job.
type details struct {
	Known    bool // Slurm still has it, in its memory or in its accounting
	Unasked  bool // it was never asked to queue it
	State    string
	Reason   string
	Exit     string // of the batch script: STATUS:SIGNAL
	Restarts int
}

// details asks Slurm for one job, now.
func (c *cluster) details(ctx context.Context, id string) (details, error) {
	text, err := c.call(ctx, nil, "details", id)
	if err != nil {
		return details{}, err
	}
	return parseDetails(text)
}

var field = regexp.MustCompile(`(?:^| )(JobState|Reason|ExitCode|Restarts)=(\S*)`)

func parseDetails(text string) (details, error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch kind {
	case "none":
		return details{}, nil
	case "unasked":
		return details{Unasked: true}, nil
	case "sacct":
		state, exit, _ := strings.Cut(rest, "|")
		state, _, _ = strings.Cut(state, " ") // CANCELLED by 1000
		exit, _, _ = strings.Cut(exit, "\n")
		return details{Known: true, State: state, Exit: exit}, nil
	case "scontrol":
		d := details{Known: true}
		said := map[string]string{}
		for _, m := range field.FindAllStringSubmatch(rest, -1) {
			if _, again := said[m[1]]; !again { // what comes later may be of the user
				said[m[1]] = m[2]
			}
		}
		d.State, d.Reason, d.Exit = said["JobState"], said["Reason"], said["ExitCode"]
		d.Restarts, _ = strconv.Atoi(said["Restarts"])
		if d.State != "" {
			return d, nil
		}
	}
	return details{}, fmt.Errorf("Slurm answered %.200q", text)
}

// causeExit is the ruling that what the process says of its own end is all there is to say.
const causeExit = string(target.CauseExit)

// ruling is what follows from what Slurm says of a job that is over, for ranks that cannot
// tell themselves how they ended.
type ruling struct {
	cause string
	words string
}

// ruling is what follows from details. begun tells whether the job was started.
func (d details) ruling(begun bool) ruling {
	switch {
	case d.State == "PREEMPTED", d.Restarts > 0 && active(d.State):
		return ruling{string(target.CausePreempted), "Slurm has taken its nodes away for a job that goes first"}
	case d.State == "TIMEOUT":
		return ruling{string(target.CauseTimeout), "it has reached the time limit that it has in Slurm: set `timeout` of the stage, or `time` of the target"}
	case d.State == "DEADLINE":
		return ruling{string(target.CauseTimeout), "it has reached its deadline in Slurm"}
	case d.State == "OUT_OF_MEMORY", d.Reason == "OutOfMemory", d.Reason == "JobLaunchFailure" && d.Exit == "0:9":
		return ruling{string(target.CauseOOM), "out of memory: Slurm has killed it; ask for more as `memory` of the stage"}
	case d.State == "CANCELLED":
		return ruling{string(target.CauseCancel), "it was cancelled in Slurm"}
	case d.State == "NODE_FAIL", d.State == "BOOT_FAIL":
		return ruling{string(target.CauseLost), fmt.Sprintf("a node has failed while it had the job (%s)", d.State)}
	case !d.Known:
		return ruling{string(target.CauseLost), "Slurm knows no such job any more, and the node has left no record of its end"}
	case !begun && strings.HasPrefix(d.Exit, "97:"):
		return ruling{string(target.CauseStart), "the node could not enter the folder of the job: is `shared_dir` of the target the same folder on all nodes?"}
	case !begun:
		return ruling{string(target.CauseStart), fmt.Sprintf("Slurm ended it before it began: %s, exit %s: is `shared_dir` of the target the same folder on all nodes?", d.State, d.Exit)}
	}
	return ruling{causeExit, fmt.Sprintf("the node has left no record of its end, which Slurm has as %s, exit %s", d.State, d.Exit)}
}

// rule settles how a job ended by what Slurm says of it. One that Slurm has queued again
// is not to run again.
func (c *cluster) rule(ctx context.Context, id string, nodes int, d details, begun bool) (ruling, error) {
	why, err := c.settle(ctx, id, nodes, d.ruling(begun))
	if err == nil && active(d.State) {
		err = c.withdraw(ctx, id, nodes)
	}
	return why, err
}

// settle has the ranks that cannot tell how they ended end with a ruling, unless there is
// one, and returns the one that counts. With an empty ruling it only tells.
func (c *cluster) settle(ctx context.Context, id string, nodes int, r ruling) (ruling, error) {
	text, err := c.call(ctx, lines(strings.TrimSpace(r.cause+" "+r.words)), "settle", id, strconv.Itoa(nodes))
	if err != nil {
		return ruling{}, err
	}
	cause, words, _ := strings.Cut(strings.TrimSpace(text), " ")
	return ruling{cause, words}, nil
}
