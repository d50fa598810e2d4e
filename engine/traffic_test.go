package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// What a rollback goes back to is a version that once had all requests.
func TestEarlierVersionsHadAllRequests(t *testing.T) {
	for name, c := range map[string]struct{ history, want string }{
		"the first":                   {"a", ""},
		"the one before":              {"a b", "a"},
		"each once":                   {"a b a b", "a"},
		"in the middle of a canary":   {"a b held:c b80+c20", "b a"},
		"late in a canary":            {"a held:b a10+b90", "a"},
		"after a canary":              {"a held:b a80+b20 b100", "a"},
		"after a canary that failed":  {"a held:b a80+b20 a40+b60 a100", ""},
		"after a watch that failed":   {"a held:b b100 a100", "b"},
		"there and back by hand":      {"a held:b b100 a100 b100", "a"},
		"not before it was removed":   {"a b retire c", ""},
		"one that was only held":      {"a held:b", ""},
		"with one that has no weight": {"a held:b a100+b0 a0+b100", "a"},
	} {
		var changes []target.Change
		var shares []target.Share
		for _, word := range strings.Fields(c.history) {
			change := target.Change{What: "deploy", Deployment: word, Why: "ready, and answers all requests"}
			if id, held := strings.CutPrefix(word, "held:"); held {
				change.Deployment, change.Why = id, "ready, and takes no requests until a split gives it some"
			} else if word == "retire" {
				change, shares = target.Change{What: word}, nil
			} else if len(word) > 1 {
				change = target.Change{What: "split", Split: &target.Split{Shares: sharesIn(word)}}
				shares = change.Split.Shares
			} else {
				shares = []target.Share{{Deployment: word, Weight: 100}}
			}
			changes = append(changes, change)
		}
		got := strings.Join(engine.Earlier(workers.Traffic{Shares: shares}, changes), " ")
		if got != c.want {
			t.Errorf("%s: %q may be gone back to after %q, wanted %q", name, got, c.history, c.want)
		}
	}
}

// sharesIn reads "a80+b20".
func sharesIn(text string) (all []target.Share) {
	for part := range strings.SplitSeq(text, "+") {
		weight := 0.0
		for _, digit := range part[1:] {
			weight = 10*weight + float64(digit-'0')
		}
		all = append(all, target.Share{Deployment: part[:1], Weight: weight})
	}
	return all
}

// A version may be named that has gone, too.
func TestKnownVersionsAreAllThatWere(t *testing.T) {
	s := engine.Served{Endpoint: target.Endpoint{Coming: "d", Versions: []target.Version{{Deployment: "b"}}}}
	got := s.Known([]target.Change{{Deployment: "a"}, {Deployment: "b"}, {What: "split"}, {Deployment: "c"}})
	if want := []string{"b", "d", "c", "a"}; !slices.Equal(got, want) {
		t.Errorf("known are %v, wanted %v", got, want)
	}
}
