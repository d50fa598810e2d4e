package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// What a version has answered is measured in memory and moved to disk several times a
// second, a line for each span of time in which there was anything. So a gateway that
// is killed loses the last moment only, needs no memory for what was, and whoever
// wants figures reads the file. It is not synced: it is worth less than a disk's time.
const (
	figuresFile = "figures"
	flushEvery  = 200 * time.Millisecond
	thinAt      = 1 << 20 // bytes of the file that is made shorter
	maxReported = 32      // names of numbers that a score file reports
)

// span is what happened in some time. A line of the file holds one.
type span struct {
	From     int64             `json:"f"` // milliseconds since 1970
	Until    int64             `json:"u"`
	Requests int64             `json:"n,omitempty"`
	Errors   int64             `json:"e,omitempty"`
	Rejected int64             `json:"r,omitempty"`
	Compared int64             `json:"c,omitempty"`
	Agreed   int64             `json:"a,omitempty"`
	Took     map[int]int64     `json:"h,omitempty"` // requests for each bucket of durations
	Reported map[string]amount `json:"v,omitempty"`
}

// amount is a sum of so many numbers.
type amount struct {
	Sum   float64 `json:"s"`
	Count int64   `json:"n"`
}

func (s *span) add(o span) {
	if s.Until == 0 || o.From < s.From {
		s.From = o.From
	}
	s.Until = max(s.Until, o.Until)
	s.Requests += o.Requests
	s.Errors += o.Errors
	s.Rejected += o.Rejected
	s.Compared += o.Compared
	s.Agreed += o.Agreed
	if s.Took == nil {
		s.Took = map[int]int64{}
	}
	for b, n := range o.Took {
		s.Took[b] += n
	}
	for name, a := range o.Reported {
		s.report(name, a)
	}
}

func (s *span) report(name string, a amount) {
	if s.Reported == nil {
		s.Reported = map[string]amount{}
	}
	was, known := s.Reported[name]
	if !known && len(s.Reported) >= maxReported {
		return
	}
	s.Reported[name] = amount{was.Sum + a.Sum, was.Count + a.Count}
}

// meter measures one version.
type meter struct {
	dir string

	// What is not on disk yet. Requests are counted without a lock: who waits for one
	// while the machine is busy waits for a turn of the one that has it.
	requests, errors, refused atomic.Int64
	took                      [buckets]atomic.Int32

	mu       sync.Mutex
	now      span  // the rest of it
	some     bool  // there is any
	lastSeen int64 // when it was moved to disk the last time

	disk sync.Mutex // held while the file is written
	size int64
}

func newMeter(dir string) *meter {
	m := &meter{dir: dir, lastSeen: time.Now().UnixMilli()}
	if info, err := os.Stat(m.path()); err == nil {
		m.size = info.Size()
	}
	return m
}

func (m *meter) path() string { return filepath.Join(m.dir, figuresFile) }

// answered counts a request.
func (m *meter) answered(took time.Duration, failed bool) {
	m.took[bucketOf(took)].Add(1)
	if failed {
		m.errors.Add(1)
	}
	m.requests.Add(1)
}

func (m *meter) rejected() { m.refused.Add(1) }

func (m *meter) compared(agreed bool) {
	m.count(func(s *span) {
		if s.Compared++; agreed {
			s.Agreed++
		}
	})
}

func (m *meter) reported(numbers map[string]amount) {
	m.count(func(s *span) {
		for name, a := range numbers {
			s.report(name, a)
		}
	})
}

func (m *meter) count(add func(*span)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.some = true
	add(&m.now)
}

// take returns what was counted since the last time.
func (m *meter) take() (span, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UnixMilli()
	s := m.now
	s.From, s.Until, m.lastSeen = m.lastSeen, now, now
	s.Requests, s.Errors, s.Rejected = m.requests.Swap(0), m.errors.Swap(0), m.refused.Swap(0)
	some := m.some || s.Requests+s.Errors+s.Rejected > 0
	m.now, m.some = span{}, false
	if !some {
		return s, false
	}
	s.Took = map[int]int64{}
	for b := range m.took {
		if n := m.took[b].Swap(0); n > 0 {
			s.Took[b] = int64(n)
		}
	}
	return s, true
}

// flush moves what was counted to disk.
func (m *meter) flush() error {
	m.disk.Lock()
	defer m.disk.Unlock()
	s, some := m.take()
	if !some {
		return nil
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(m.path(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return ignoreMissing(err) // the deployment was retired
	}
	// The first newline ends what a gateway that was killed has left half done.
	n, err := f.Write(append(append([]byte{'\n'}, line...), '\n'))
	if m.size += int64(n); err == nil && m.size > thinAt {
		err = m.thin()
	}
	return errors.Join(err, f.Close())
}

// thin makes the file shorter: the longer ago, the less exactly is it remembered.
func (m *meter) thin() error {
	spans, err := readSpans(m.path())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, s := range thinned(spans, time.Now()) {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	m.size = int64(b.Len())
	return replaceQuick(m.dir, figuresFile, b.Bytes())
}

// grains say how long spans may be that ended so long ago.
var grains = []struct{ age, grain time.Duration }{
	{24 * time.Hour, time.Hour},
	{time.Hour, time.Minute},
	{5 * time.Minute, 10 * time.Second},
	{0, time.Second},
}

// remembered is for how long anything is remembered.
const remembered = 30 * 24 * time.Hour

func grainAt(age time.Duration) time.Duration {
	for _, g := range grains {
		if age >= g.age {
			return g.grain
		}
	}
	return time.Second // the clock was put back
}

// thinned puts spans together that are long over. They are in order.
func thinned(spans []span, now time.Time) []span {
	var thin []span
	var slot [2]int64 // the grain, and where in it
	for _, s := range spans {
		age := now.Sub(time.UnixMilli(s.Until))
		if age > remembered {
			continue
		}
		grain := grainAt(age).Milliseconds()
		if at := [2]int64{grain, s.Until / grain}; at != slot {
			thin = append(thin, span{})
			slot = at
		}
		thin[len(thin)-1].add(s)
	}
	return thin
}

// readSpans reads the whole lines of a file of figures.
func readSpans(path string) ([]span, error) {
	f, _, err := jobdir.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var spans []span
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return spans, nil // the end, or half a line
		}
		var s span
		if len(line) > 1 && json.Unmarshal(line, &s) == nil && s.Until > 0 {
			spans = append(spans, s)
		}
	}
}

// meters are those of all versions in this process.
type meters struct {
	mu  sync.Mutex
	all map[*meter]bool
}

func (s *meters) add(m *meter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*meter]bool{}
	}
	s.all[m] = true
}

// drop forgets the meter of a version that answers nothing any more.
func (s *meters) drop(m *meter, log *slog.Logger) {
	s.mu.Lock()
	delete(s.all, m)
	s.mu.Unlock()
	flush(m, log)
}

func (s *meters) flush(log *slog.Logger) {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.all))
	s.mu.Unlock()
	for _, m := range all {
		flush(m, log)
	}
}

func flush(m *meter, log *slog.Logger) {
	if err := m.flush(); err != nil {
		log.Error("keep the figures", "of", m.dir, "error", err)
	}
}

// measure moves what was counted to disk until ctx ends.
func (g *gateway) measure(ctx context.Context) {
	for sleep(ctx, flushEvery) == nil {
		g.meters.flush(g.log)
	}
}
