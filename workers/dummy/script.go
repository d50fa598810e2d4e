package dummy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// script is what a job will do, with nothing left to read.
type script struct {
	refuse    bool
	failures  int // submissions that fail before one is accepted
	slow      time.Duration
	hang      bool
	end       target.Status
	log       string
	values    json.RawMessage
	metrics   string
	artifacts map[string]string
}

func parse(j target.Job) (script, error) {
	text := j.Script
	if len(j.Command) > 0 {
		text = strings.Join(j.Command, " ")
	}
	text = os.Expand(text, func(name string) string {
		if value, ok := j.Secrets[name]; ok {
			return value
		}
		return j.Env[name]
	})
	s := script{end: target.Status{State: target.Succeeded}, artifacts: map[string]string{}}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, " then ", "\n"), "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err := s.step(word, strings.TrimSpace(rest)); err != nil {
			return s, fmt.Errorf("the step %q: %w", line, err)
		}
	}
	return s, nil
}

// step adds one step to s.
func (s *script) step(word, rest string) (err error) {
	switch word {
	case "", "ok":
	case "fail":
		s.end, err = failed(target.CauseExit, 0, rest, "exit code %d")
	case "signal":
		s.end, err = failed(target.CauseSignal, 128, rest, "ended by signal %d")
		s.end.Signal = s.end.Exit - 128
	case "oom":
		s.end = target.Status{State: target.Failed, Exit: 137, Signal: 9, Cause: target.CauseOOM, Reason: "out of memory"}
	case "unstarted":
		s.end = target.Status{State: target.Failed, Exit: 127, Cause: target.CauseStart, Reason: "the command was not found"}
	case "lost":
		s.end = target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "the target forgot the job, as its script says"}
	case "slow":
		s.slow, err = time.ParseDuration(rest)
	case "hang":
		s.hang = true
	case "log":
		s.log += rest + "\n"
	case "outputs":
		s.values = json.RawMessage(rest)
	case "metrics":
		s.metrics += rest + "\n"
	case "artifact":
		name, text, _ := strings.Cut(rest, " ")
		s.artifacts[name] = text
	case "fail-submit":
		if s.refuse = rest == ""; !s.refuse {
			s.failures, err = strconv.Atoi(rest)
		}
	default:
		err = fmt.Errorf("there is no such step; see the doc of package dummy")
	}
	return err
}

func failed(why target.Cause, base int, number, reason string) (target.Status, error) {
	n, err := strconv.Atoi(number)
	return target.Status{State: target.Failed, Exit: base + n, Cause: why, Reason: fmt.Sprintf(reason, n)}, err
}

// status looks at a job. The clock alone moves it on.
func (j *job) status() target.Status {
	st := target.Status{State: target.Running, Start: j.start}
	due := j.start.Add(j.script.slow)
	limit := j.start.Add(j.Timeout)
	switch now := time.Now(); {
	case j.why != "":
		st = ended(j.why)
		st.End = j.end
	case j.Timeout > 0 && now.After(limit) && (due.After(limit) || j.script.hang && j.end.IsZero()):
		st = ended(target.CauseTimeout)
		st.End = limit
	case j.script.hang && j.end.IsZero() || now.Before(due):
		return st
	default:
		st = j.script.end
		st.End = due
		if j.end.After(due) {
			st.End = j.end
		}
	}
	st.Start = j.start
	return st
}

// ended is the status of a job that was stopped for the cause why.
func ended(why target.Cause) target.Status {
	st := target.Status{State: target.Cancelled, Exit: 143, Signal: 15, Cause: why, Reason: "it was cancelled"}
	if why == target.CauseTimeout {
		st.State, st.Reason = target.Failed, "stopped after its timeout"
	}
	return st
}

// results stores what the script leaves, as far as it was declared.
func (s script) results(ctx context.Context, declared []target.Artifact, out target.Blobs) (r target.Results, err error) {
	r.Values, r.Metrics, r.Artifacts = s.values, []byte(s.metrics), map[string]target.Ref{}
	if r.Log, err = target.PutLog(ctx, out, strings.NewReader(s.log)); err != nil {
		return r, err
	}
	for _, a := range declared {
		text, ok := s.artifacts[a.Name]
		if !ok {
			continue
		}
		if r.Artifacts[a.Name], err = out.Put(ctx, strings.NewReader(text)); err != nil {
			return r, err
		}
	}
	return r, nil
}
