package cluster

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// memory is what one process knows and no file does.
type memory struct {
	mu     sync.Mutex
	values map[string]map[string]string // the secrets of jobs that were submitted here and wait
	works  map[string]submitted         // jobs that were submitted here and wait, for other machines
	passes map[string]time.Time         // when a job that waits last led to a pass, by cluster
	states map[place]seen               // what was last read of each cluster
}

// seen is what a file said, and which file it was: one that changes is another file.
type seen struct {
	file  os.FileInfo
	state *state
}

func newMemory() *memory {
	return &memory{values: map[string]map[string]string{}, works: map[string]submitted{}, passes: map[string]time.Time{}, states: map[place]seen{}}
}

func (m *memory) keep(id string, secrets map[string]string) {
	if len(secrets) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[id] = secrets
}

func (m *memory) secrets(id string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[id]
}

func (m *memory) has(id string) bool {
	_, ok := m.work(id)
	return ok || m.secrets(id) != nil
}

// submitted is a job as it was submitted, with what it is given.
type submitted struct {
	job target.Job
	in  target.Blobs
}

func (m *memory) keepWork(id string, w submitted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.works[id] = w
}

func (m *memory) work(id string) (submitted, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, ok := m.works[id]
	return w, ok
}

func (m *memory) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, id)
	delete(m.works, id)
}

// passEvery bounds how often jobs that wait lead to a pass, however many there are.
const passEvery = 200 * time.Millisecond

// due reports whether it is time for a pass over a cluster, and that it is made now.
func (m *memory) due(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.passes[name]) < passEvery {
		return false
	}
	m.passes[name] = time.Now()
	return true
}

// look is place.read for those who change nothing: jobs that are followed ask often, and
// the file of a large cluster takes a while to read.
func (m *memory) look(p place) (*state, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	file, err := os.Stat(filepath.Join(string(p), stateFile))
	if old, ok := m.states[p]; err == nil && ok && os.SameFile(file, old.file) && file.ModTime().Equal(old.file.ModTime()) {
		return old.state, nil
	}
	st, fault := p.read()
	if err == nil && fault == nil {
		m.states[p] = seen{file, st}
	}
	return st, fault
}
