package slurm

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"
)

// askEvery is how old what is known of the queue may be: Slurm is asked for all jobs at
// once, and no more often, however many are followed.
const askEvery = 5 * time.Second

// queue is what Slurm has of one user, as it was a moment ago. It is for people, and a hint
// for when to look more closely: what follows from a job's absence is asked for anew.
type queue struct {
	turn chan struct{} // holds one: whoever takes it may look at the rest
	at   time.Time
	jobs map[string]queued // by id
	err  error
}

// queued is one job in the queue.
type queued struct {
	State  string // PENDING, RUNNING, NODE_FAIL…
	Reason string // why it waits, a word of Slurm's
}

func newQueue() *queue {
	q := &queue{turn: make(chan struct{}, 1)}
	q.turn <- struct{}{}
	return q
}

// seen returns what the queue has of a job, and reports whether it has it.
func (c *cluster) seen(ctx context.Context, id string) (queued, bool, error) {
	q := c.queue
	select {
	case <-q.turn:
		defer func() { q.turn <- struct{}{} }()
	case <-ctx.Done():
		return queued{}, false, context.Cause(ctx)
	}
	if time.Since(q.at) > askEvery {
		q.jobs, q.err = c.snapshot(ctx)
		if ctx.Err() != nil {
			return queued{}, false, context.Cause(ctx) // it was our haste
		}
		q.at = time.Now()
	}
	job, ok := q.jobs[id]
	return job, ok, q.err
}

func (c *cluster) snapshot(ctx context.Context) (map[string]queued, error) {
	facts, err := c.Facts(ctx)
	if err != nil {
		return nil, err
	}
	text, err := c.call(ctx, nil, "snapshot")
	if err != nil {
		return nil, err
	}
	return parseQueue(text, path.Join(facts.Dir, "jobs")), nil
}

// parseQueue reads lines of number|state|folder|reason. Of two jobs of Slurm with the same
// folder the one that is not over counts.
func parseQueue(text, dir string) map[string]queued {
	jobs := map[string]queued{}
	for _, line := range strings.Split(text, "\n") {
		f := strings.SplitN(line, "|", 4)
		if len(f) != 4 || path.Dir(f[2]) != dir {
			continue
		}
		if id := path.Base(f[2]); !active(jobs[id].State) {
			jobs[id] = queued{State: f[1], Reason: f[3]}
		}
	}
	return jobs
}

// active reports whether a job in this state may still run, or is being ended.
func active(state string) bool {
	switch state {
	case "PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING", "STAGE_OUT", "SIGNALING", "STOPPED",
		"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", "REVOKED":
		return true
	}
	return false
}

// waits are the reasons of Slurm that people meet most, in words.
var waits = map[string]string{
	"Resources":                   "for nodes to become free",
	"Priority":                    "behind jobs of a higher priority",
	"None":                        "to be looked at",
	"Dependency":                  "for other jobs",
	"BeginTime":                   "until it may begin",
	"JobHeldUser":                 "held by its user: scontrol release",
	"JobHeldAdmin":                "held by an administrator",
	"PartitionTimeLimit":          "for ever, as its time limit exceeds that of the partition",
	"PartitionNodeLimit":          "for ever, as it asks for more nodes than the partition has",
	"PartitionDown":               "for its partition to come back",
	"ReqNodeNotAvail":             "for nodes that are away",
	"Licenses":                    "for licenses",
	"AssocGrpGRES":                "for the account to have less in use",
	"QOSMaxJobsPerUserLimit":      "for other jobs of the user to end",
	"QOSMaxCpuPerUserLimit":       "for other jobs of the user to end",
	"AssocMaxJobsLimit":           "for other jobs of the user to end",
	"BadConstraints":              "for ever, as no node has what it asks for",
	"launch failed requeued held": "held, as a node could not start it",
}

// why tells people why a job waits.
func (q queued) why() string {
	if q.State != "PENDING" {
		return fmt.Sprintf("Slurm has it as %s", q.State)
	}
	word, _, _ := strings.Cut(strings.Trim(q.Reason, "()"), ",")
	if words := waits[word]; words != "" {
		return fmt.Sprintf("waits in Slurm %s (%s)", words, word)
	}
	return fmt.Sprintf("waits in Slurm (%s)", q.Reason)
}
