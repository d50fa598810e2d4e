package gateway

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What the gateway takes beside the instance alone and the proxy of the standard
// library alone, which run in processes of their own, too: as the time of half of the
// requests when one client asks, and as requests a second when many do. All three are
// measured in turns, so that they meet the same machine.
//
//	go test ./workers/gateway -run '^$' -bench Gateway -benchtime 3x
func BenchmarkGateway(b *testing.B) {
	p := newSerialPlace(b)
	through := p.live(p.quick("d1", "1"))
	direct := "http://" + p.only().Instances[0].Address
	ways := []struct{ name, url string }{{"direct", direct + "/score"}, {"plain", plainProxy(b, direct) + "/score"}, {"gateway", through}}
	p50 := map[string][]float64{}
	rate := map[string][]float64{}
	for b.Loop() {
		for _, w := range ways {
			p50[w.name] = append(p50[w.name], oneClient(b, w.url, 2000))
			rate[w.name] = append(rate[w.name], manyClients(b, w.url, 16, 2*time.Second))
		}
	}
	for _, w := range ways {
		b.ReportMetric(median(p50[w.name])*1000, w.name+"-p50-us")
		b.ReportMetric(median(rate[w.name]), w.name+"-req/s")
	}
	b.ReportMetric((median(p50["gateway"])-median(p50["plain"]))*1000, "over-plain-us")
	b.ReportMetric(median(rate["gateway"])/median(rate["plain"]), "of-plain")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

func plainProxy(tb testing.TB, to string) string {
	tb.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), plainTarget+"="+to)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// oneClient returns the time in milliseconds that half of n requests of one client stay below.
func oneClient(tb testing.TB, url string, n int) float64 {
	c := &http.Client{}
	var took []float64
	for range n {
		began := time.Now()
		if _, err := ask(c, url, `{"x": 1}`); err != nil {
			tb.Fatal(err)
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1e6)
	}
	return median(took)
}

// manyClients returns how many requests a second many clients get answered.
func manyClients(tb testing.TB, url string, clients int, lasts time.Duration) float64 {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var asked atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range clients {
		wg.Go(func() {
			for time.Since(began) < lasts {
				if _, err := ask(c, url, `{"x": 1}`); err != nil {
					tb.Error(err)
					return
				}
				asked.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(asked.Load()) / time.Since(began).Seconds()
}
