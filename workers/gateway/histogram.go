package gateway

import (
	"math"
	"time"
)

// The buckets of durations: bucket n ends at first × growth^n, so that an upper bound
// is at most 3 % too large. The last one takes all that is longer.
const (
	firstBucket = 0.01 // milliseconds
	growth      = 1.03
	buckets     = 620 // up to about 15 minutes
)

var logGrowth = math.Log(growth)

func bucketOf(d time.Duration) int {
	ms := float64(d) / float64(time.Millisecond)
	if ms <= firstBucket {
		return 0
	}
	return min(int(math.Ceil(math.Log(ms/firstBucket)/logGrowth)), buckets-1)
}

// upTo is the upper bound of a bucket in milliseconds.
func upTo(bucket int) float64 { return firstBucket * math.Pow(growth, float64(bucket)) }

// quantile returns the bound below which the share q of the durations lies, or 0 when
// there are none.
func quantile(h map[int]int64, q float64) float64 {
	var all int64
	for _, n := range h {
		all += n
	}
	rank := int64(math.Ceil(q * float64(all)))
	for b := range buckets {
		if n := h[b]; n > 0 {
			if rank -= n; rank <= 0 {
				return upTo(b)
			}
		}
	}
	return 0
}
