package schema

import (
	"fmt"
	"time"
)

// CanaryStep gives the new version a part of the requests for a while.
type CanaryStep struct {
	Weight   float64 // percent
	Hold     time.Duration
	Check    string // "" or one ${{ expression }} over what the endpoint has measured
	Requests *int   // nil: nothing is said
}

// Mirror gives the new version copies of requests for a while.
type Mirror struct {
	Percent   float64
	Hold      time.Duration
	Check     string
	Tolerance float64
	Requests  *int
}

// Rollback watches the new version.
type Rollback struct {
	When     string // one ${{ expression }}
	Hold     time.Duration
	Every    time.Duration
	Over     time.Duration
	Requests *int
}

// Autoscale are the bounds of the number of instances.
type Autoscale struct {
	Min, Max    int
	Utilisation float64
	Delay       time.Duration
}

// Limits bound the requests of a version. Zero is what was not said.
type Limits struct {
	Concurrent, Queue int
	Timeout, Drain    time.Duration
}

// Batching has many requests answered by one call.
type Batching struct {
	Max  int
	Wait time.Duration
}

// What is meant when nothing is said.
const (
	defaultEvery       = 5 * time.Second
	defaultOver        = time.Minute
	defaultTolerance   = 1e-6
	defaultUtilisation = 0.7
	defaultDelay       = time.Minute
	defaultBatchWait   = 10 * time.Millisecond
)

// rollout reads how the requests move, from a deployment at path.
func (s *Source) rollout(path string, r *Deploy) {
	r.Sticky = s.text(path + "/sticky")
	for i := range s.count(path + "/canary") {
		at := fmt.Sprintf("%s/canary/%d", path, i)
		r.Canary = append(r.Canary, CanaryStep{Weight: s.decimal(at+"/weight", 0), Hold: s.duration(at + "/hold"), Check: s.text(at + "/check"), Requests: s.optional(at + "/requests")})
	}
	if at := path + "/mirror"; s.said(at) {
		r.Mirror = &Mirror{Percent: s.decimal(at+"/percent", 100), Hold: s.duration(at + "/hold"), Check: s.text(at + "/check"), Tolerance: s.decimal(at+"/tolerance", defaultTolerance), Requests: s.optional(at + "/requests")}
	}
	if at := path + "/rollback"; s.said(at) {
		r.Rollback = &Rollback{When: s.text(at + "/when"), Hold: s.duration(at + "/hold"), Every: s.lasting(at+"/every", defaultEvery), Over: s.lasting(at+"/over", defaultOver), Requests: s.optional(at + "/requests")}
	}
}

func (s *Source) serving(path string, v *Deploy) {
	v.Auth = s.text(path + "/auth")
	if yes, ok := s.Value(path + "/bytes"); ok {
		v.Bytes, _ = yes.(bool)
	}
	if at := path + "/autoscale"; s.said(at) {
		v.Autoscale = &Autoscale{Min: s.integer(at+"/min", 1), Max: s.integer(at+"/max", 1), Utilisation: s.decimal(at+"/utilisation", defaultUtilisation), Delay: s.lasting(at+"/delay", defaultDelay)}
	}
	if at := path + "/limits"; s.said(at) {
		v.Limits = &Limits{Concurrent: s.integer(at+"/concurrent", 0), Queue: s.integer(at+"/queue", 0), Timeout: s.duration(at + "/timeout"), Drain: s.duration(at + "/drain")}
	}
	if at := path + "/batching"; s.said(at) {
		v.Batching = &Batching{Max: s.integer(at+"/max", 1), Wait: s.lasting(at+"/wait", defaultBatchWait)}
	}
}

// decimal reads a number, or takes what is meant when there is none.
func (s *Source) decimal(path string, otherwise float64) float64 {
	v, ok := s.Value(path)
	if !ok {
		return otherwise
	}
	n, ok := number(v)
	if !ok {
		return otherwise
	}
	return n
}

// lasting reads a length of time, or takes what is meant when there is none.
func (s *Source) lasting(path string, otherwise time.Duration) time.Duration {
	if d := s.duration(path); d > 0 {
		return d
	}
	return otherwise
}
