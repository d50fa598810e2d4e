package schema

// What the words for a priority are worth, in the hours that a stage is taken to have
// waited already.
const (
	LowPriority  = -10
	HighPriority = 10
)

func (s *Source) priority(path string) int {
	switch s.text(path) {
	case "low":
		return LowPriority
	case "high":
		return HighPriority
	}
	return s.integer(path, 0)
}
