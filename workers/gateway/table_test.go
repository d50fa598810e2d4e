package gateway

import (
	"fmt"
	"math"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// shared makes the table of a split with these weights, of the versions v0, v1…
func shared(weights ...float64) *table {
	p := roles{split: &target.Split{ID: "s"}}
	versions := map[string]*version{}
	for n, w := range weights {
		v := &version{deployment: deployment{wish: wish{Deployment: target.Deployment{ID: fmt.Sprintf("v%d", n)}}}}
		versions[v.ID] = v
		p.shares = append(p.shares, share{&v.deployment, w})
	}
	return newTable(p, versions, keys{})
}

func TestSharesAreExact(t *testing.T) {
	const requests = 10_000
	for _, weights := range [][]float64{{1}, {50, 50}, {95, 5}, {99.9, 0.1}, {1, 1, 1}, {0.1, 0.2, 0.7}, {5, 3, 2, 1e-3}} {
		table := shared(weights...)
		sum, got := 0.0, map[string]float64{}
		for _, w := range weights {
			sum += w
		}
		for asked := 1; asked <= requests; asked++ {
			got[table.choose("").ID]++
			for n, w := range weights {
				if want := float64(asked) * w / sum; math.Abs(got[fmt.Sprintf("v%d", n)]-want) > float64(len(weights)) {
					t.Fatalf("weights %v: after %d requests %v", weights, asked, got)
				}
			}
		}
	}
}

func TestTheSameValueGoesToTheSameVersion(t *testing.T) {
	const values = 20_000
	before, after := shared(90, 10), shared(75, 25)
	moved, canary := 0, [2]int{}
	for n := range values {
		value := fmt.Sprintf("user-%d", n)
		a, again, b := before.choose(value).ID, before.choose(value).ID, after.choose(value).ID
		if a != again {
			t.Fatalf("%s goes to %s and to %s", value, a, again)
		}
		for i, id := range []string{a, b} {
			if id == "v1" {
				canary[i]++
			}
		}
		if a != b {
			if moved++; b != "v1" {
				t.Fatalf("%s left the version whose share grew", value)
			}
		}
	}
	for i, want := range []float64{0.10, 0.25} {
		if got := float64(canary[i]) / values; math.Abs(got-want) > 0.01 {
			t.Errorf("the share is %v, want %v", got, want)
		}
	}
	if want := canary[1] - canary[0]; moved != want {
		t.Errorf("%d values moved, and %d had to", moved, want)
	}
}

func TestCopiesAreExact(t *testing.T) {
	table := shared(1)
	table.mirror = &seat{}
	for _, percent := range []float64{0, 0.1, 10, 33.3, 100} {
		table.split.MirrorPercent, table.copied = percent, 0
		n := 0
		for range 10_000 {
			if table.copies() {
				n++
			}
		}
		if want := percent * 100; math.Abs(float64(n)-want) > 1 {
			t.Errorf("%v %%: %d copies of 10000 requests", percent, n)
		}
	}
}
