package local

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// BenchmarkBareExecs is the floor of a job: a shell that starts a shell that
// starts a program, and nothing that survives any of them.
func BenchmarkBareExecs(b *testing.B) {
	script := filepath.Join(b.TempDir(), "script")
	if err := os.WriteFile(script, []byte("/bin/true\nexit\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	defer processors(b, 1)()
	for b.Loop() {
		if err := exec.Command("/bin/sh", "-c", "/bin/sh -e "+script+"; exit $?").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJob is the whole life of a job, one after the other.
func BenchmarkJob(b *testing.B) {
	d := Driver{Dir: b.TempDir()}
	defer processors(b, 1)()
	for b.Loop() {
		live(b, d, &targettest.Blobs{}, next())
	}
}

// BenchmarkThousandJobs is the same for a thousand jobs, of which so many are
// alive at any time. The figure to look at is that of one job.
func BenchmarkThousandJobs(b *testing.B) {
	for _, abreast := range []int{1, 8, 64, 256} {
		b.Run(strconv.Itoa(abreast), func(b *testing.B) {
			d := Driver{Dir: b.TempDir()}
			defer processors(b, 1000)()
			for b.Loop() {
				thousand(b, d, abreast)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/job")
		})
	}
}

// processors reports, when what it returns is called, the time on processors that
// one job cost us and our children: what else runs on the machine does not count.
func processors(b *testing.B, jobs int) func() {
	used := func() (ns int64) {
		for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
			var u syscall.Rusage
			if err := syscall.Getrusage(who, &u); err != nil {
				b.Fatal(err)
			}
			ns += u.Utime.Nano() + u.Stime.Nano()
		}
		return ns
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N*jobs), "cpu-ns/job") }
}

func thousand(b *testing.B, d Driver, abreast int) {
	jobs := make(chan string)
	var all sync.WaitGroup
	for range abreast {
		all.Go(func() {
			for id := range jobs {
				live(b, d, &targettest.Blobs{}, id)
			}
		})
	}
	for range 1000 {
		jobs <- next()
	}
	close(jobs)
	all.Wait()
}

var (
	numbers sync.Mutex
	number  int
)

// next names a job as no other was named.
func next() string {
	numbers.Lock()
	defer numbers.Unlock()
	number++
	return "job" + strconv.Itoa(number)
}

// live takes a job from its submission until nothing is left of it.
func live(b *testing.B, d Driver, blobs target.Blobs, id string) {
	ctx := context.Background()
	job := target.Job{ID: id, Script: "/bin/true", Host: host()}
	if err := d.Submit(ctx, local(""), job, blobs); err != nil {
		b.Error(err)
		return
	}
	if st := followed(b, d, id); st.State != target.Succeeded {
		b.Errorf("got %+v", st)
	}
	if _, err := d.Collect(ctx, local(""), id, blobs); err != nil {
		b.Error(err)
	}
	if err := d.Clean(ctx, local(""), id); err != nil {
		b.Error(err)
	}
}

// followed waits for the end of a job in the way of whoever follows one.
func followed(b *testing.B, d Driver, id string) target.Status {
	for {
		hint := d.Wait(local(""), id)
		st, err := d.Status(context.Background(), local(""), id)
		if err != nil {
			b.Error(err)
		}
		if err != nil || st.State.Ended() {
			return st
		}
		if hint == nil {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		<-hint
	}
}
