package remote

import (
	"context"
	"encoding/json"
	"sync"
)

// Record reads what a submission has laid down for later calls into v, and reports
// whether there is something.
func (m *Machine) Record(ctx context.Context, unit string, v any) (bool, error) {
	if err := checkUnit(unit); err != nil {
		return false, err
	}
	text, ok := m.records.of(unit)
	if !ok {
		var err error
		if text, err = m.short(ctx, "record", unit); err != nil || text == "" {
			return false, err
		}
		m.records.keep(unit, text)
	}
	return true, json.Unmarshal([]byte(text), v)
}

// records remembers the records of units, which never change once they can be read.
type records struct {
	mu    sync.Mutex
	known map[string]string
}

// mostRecords bounds what is remembered: then all is read again.
const mostRecords = 10_000

func (rs *records) of(unit string) (string, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	text, ok := rs.known[unit]
	return text, ok
}

func (rs *records) keep(unit, text string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.known) >= mostRecords {
		clear(rs.known)
	}
	rs.known[unit] = text
}

func (rs *records) forget(unit string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.known, unit)
}
