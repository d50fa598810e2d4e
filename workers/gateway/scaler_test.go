package gateway

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

func TestHowManyInstances(t *testing.T) {
	// Each step lasts, has a load, and is to end with so many instances.
	type step struct {
		lasts   time.Duration
		load    float64
		waiting int
		want    int
	}
	second, minute := time.Second, time.Minute
	cases := map[string]struct {
		scale      target.Scale
		concurrent int
		have       int
		steps      []step
	}{
		"nobody asks":                   {target.Scale{Min: 1, Max: 5}, 1, 1, []step{{10 * minute, 0, 0, 1}}},
		"up at once, as far as it must": {target.Scale{Min: 1, Max: 9, Utilisation: 0.5}, 4, 1, []step{{8 * second, 8, 0, 4}}},
		"never above the most":          {target.Scale{Min: 1, Max: 3}, 1, 1, []step{{minute, 1000, 5, 3}}},
		"never below the fewest":        {target.Scale{Min: 2, Max: 3}, 1, 1, []step{{second, 0, 0, 2}, {10 * minute, 0, 0, 2}}},
		"what waits is believed":        {target.Scale{Min: 1, Max: 9, Utilisation: 1}, 2, 1, []step{{200 * time.Millisecond, 10, 3, 5}}},
		"a blink is not":                {target.Scale{Min: 1, Max: 9, Utilisation: 1}, 1, 1, []step{{200 * time.Millisecond, 0, 0, 1}, {200 * time.Millisecond, 3, 0, 1}}},
		"down after the delay":          {target.Scale{Min: 1, Max: 9, Utilisation: 1, Delay: minute}, 1, 1, []step{{10 * second, 6, 0, 6}, {50 * second, 2, 0, 6}, {20 * second, 2, 0, 2}}},
		"a need in between counts":      {target.Scale{Min: 1, Max: 9, Utilisation: 1, Delay: minute}, 1, 1, []step{{10 * second, 6, 0, 6}, {30 * second, 1, 0, 6}, {10 * second, 4, 0, 6}, {25 * second, 1, 0, 4}}},
		"to zero":                       {target.Scale{Min: 0, Max: 2, Delay: minute}, 1, 1, []step{{2 * minute, 0, 0, 0}, {10 * minute, 0, 0, 0}}},
		"from zero":                     {target.Scale{Min: 0, Max: 2, Utilisation: 1, Delay: minute}, 1, 0, []step{{200 * time.Millisecond, 1, 1, 1}}},
		"the defaults":                  {target.Scale{Min: 1, Max: 9}, 0, 1, []step{{20 * second, 0.69, 0, 1}, {20 * second, 0.75, 0, 2}, {50 * second, 0.1, 0, 2}, {15 * second, 0.1, 0, 1}}},
	}
	for name, c := range cases {
		s := newScaler(c.scale, c.concurrent)
		now, have := time.Unix(1e9, 0), c.have
		for n, step := range c.steps {
			for range int(step.lasts / (200 * time.Millisecond)) {
				now = now.Add(200 * time.Millisecond)
				have = s.want(now, step.load, step.waiting, have)
			}
			if have != step.want {
				t.Errorf("%s: after step %d there are %d instances, want %d", name, n, have, step.want)
				break
			}
		}
	}
}
