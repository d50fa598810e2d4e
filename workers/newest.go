package workers

// Newest tells which value of a metric counts when its reports are read in the order in
// which they were written: the one with the highest step, and of several with that step the
// one written last. Processes that report side by side, and clients that send later than they
// measure, write steps in another order. A value without a step is a word on all before it.
type Newest struct {
	step    float64
	stepped bool
}

// Is reports whether the value of r takes the place of those before it.
func (n *Newest) Is(r Report) bool {
	if !r.HasStep {
		return true
	}
	if n.stepped && r.Step < n.step {
		return false
	}
	n.step, n.stepped = r.Step, true
	return true
}
