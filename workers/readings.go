package workers

// Readings makes reports of metrics that are written to it, as JSON lines, in pieces of any
// size.
type Readings struct{ lines lines }

// ReadingsFrom is for metrics that are written from a byte on.
func ReadingsFrom(offset int64) *Readings { return &Readings{lines{next: offset}} }

// Write implements io.Writer.
func (r *Readings) Write(text []byte) (int, error) { return r.lines.Write(text) }

// Take returns the reports that are new. last tells that no more is written, so that what
// there is of a line counts as one.
func (r *Readings) Take(last bool) []Report {
	if last {
		r.lines.end()
	}
	return r.lines.take()
}
