package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// GPUs are lent in turn to the jobs of all state folders that use an engine. Labels never
// change, so that the name of a container says who has which, and who waits:
//
//	amlflow-<id>-gpu0.1_<time>_<token>  it has the GPUs 0 and 1, as long as it runs or may be started
//	amlflow-<id>-wait_<time>_<token>    it waits, and somebody asked for it then
//
// Whoever wants some takes the name first and then looks whether another has one of them:
// of two who do so at once, one sees the other, and gives back what it took. A name that was
// taken and never used is taken away, like that of a submission that sleeps.
const (
	labelGPUs = "amlflow.gpus" // of a container: how many GPUs its job wants

	gpusFile = lifeDir + "/gpus" // variables that tell which it has
)

// How long a name counts though nothing runs: of one that has GPUs and is about to start, and
// of one that waits.
const (
	unusedFor = 5 * time.Minute
	waitsFor  = 2 * time.Minute
)

// claim is what the name of a container says.
type claim struct {
	gpus    []int
	waiting bool
	at      time.Time
}

// word is the last part of the name that says so.
func (c claim) word() string {
	what := "wait"
	if !c.waiting {
		what = "gpu" + numbers(c.gpus, ".")
	}
	return fmt.Sprintf("%s_%d_%s", what, c.at.Unix(), token())
}

func numbers(all []int, between string) string {
	var words []string
	for _, n := range all {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, between)
}

// claimOf reads the names of a container.
func claimOf(names []string) (c claim, ok bool) {
	for _, name := range names {
		f := strings.Split(name[strings.LastIndexByte(name, '-')+1:], "_")
		if len(f) != 3 {
			continue
		}
		at, err := strconv.ParseInt(f[1], 10, 64)
		list, has := strings.CutPrefix(f[0], "gpu")
		if err != nil || !has && f[0] != "wait" {
			continue
		}
		c = claim{waiting: !has, at: time.Unix(at, 0)}
		for _, n := range strings.FieldsFunc(list, func(r rune) bool { return r == '.' }) {
			if gpu, err := strconv.Atoi(n); has && err == nil {
				c.gpus = append(c.gpus, gpu)
			}
		}
		return c, true
	}
	return c, false
}

// loan is what came of asking for GPUs.
type loan struct {
	name   string // of the container now; empty: it is gone
	gpus   []int  // none: it waits
	free   int
	before int // how many jobs come first
}

// borrow gives a container that was not started so many of the engine's first `of` GPUs, once
// it is its turn: as many are free as it wants and as all that have waited longer want.
func (e *engine) borrow(ctx context.Context, id string, box *container.InspectResponse, wants, of int) (loan, error) {
	leave, err := enter(ctx, e.host+" GPUS") // no id has capitals
	if err != nil {
		return loan{}, err
	}
	defer leave()
	now, err := e.now(ctx)
	if err != nil {
		return loan{}, err
	}
	taken, before, ahead, err := e.lent(ctx, id, moment(box.Created), now)
	if err != nil {
		return loan{}, err
	}
	l := loan{before: ahead}
	mine := held(box, wants, of)
	if mine != nil {
		before = 0
	}
	for gpu := range of {
		if !taken[gpu] {
			if l.free++; len(mine) < wants {
				mine = append(mine, gpu)
			}
		}
	}
	if l.free >= before+wants {
		l.name, err = e.named(ctx, id, box.ID, claim{gpus: mine, at: now})
		if err != nil || l.name == "" {
			return l, err
		}
		taken, _, _, err = e.lent(ctx, id, moment(box.Created), now)
		if err != nil {
			return l, err
		}
		if !slices.ContainsFunc(mine, func(gpu int) bool { return taken[gpu] }) {
			l.gpus = mine
			return l, nil
		}
	}
	l.name, err = e.named(ctx, id, box.ID, claim{waiting: true, at: now})
	return l, err
}

// held are the GPUs that a container has by its name, of a submission that died or is about to
// start it: whoever takes over keeps them, so that the program has them whoever starts it.
func held(box *container.InspectResponse, wants, of int) []int {
	c, ok := claimOf([]string{box.Name})
	if !ok || len(c.gpus) != wants || slices.Max(c.gpus) >= of {
		return nil
	}
	return c.gpus
}

// named gives a container a name that says something; "" when there is none.
func (e *engine) named(ctx context.Context, id, container string, c claim) (string, error) {
	name := containerName(id, c.word())
	_, err := e.ContainerRename(ctx, container, client.ContainerRenameOptions{NewName: name})
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	return name, e.trouble("name the container", err)
}

// lent tells which GPUs other jobs have, and how many those want that have waited longer than
// since the container of this one was made.
func (e *engine) lent(ctx context.Context, id string, made, now time.Time) (taken map[int]bool, before, ahead int, err error) {
	all, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelGPUs)})
	if err != nil {
		return nil, 0, 0, e.trouble("list the containers that have GPUs", err)
	}
	taken = map[int]bool{}
	for _, c := range all.Items {
		says, ok := claimOf(c.Names)
		if !ok || c.Labels[labelJob] == id {
			continue
		}
		alive := slices.Contains([]string{"running", "paused", "restarting", stopping}, string(c.State))
		fresh := slices.Contains([]string{"created", "configured", "initialized"}, string(c.State))
		switch {
		case says.waiting:
			if earlier := time.Unix(c.Created, 0).Before(made.Truncate(time.Second)); fresh && earlier && now.Sub(says.at) < waitsFor {
				wants, _ := strconv.Atoi(c.Labels[labelGPUs])
				before, ahead = before+wants, ahead+1
			}
			continue
		case fresh && now.Sub(says.at) >= unusedFor:
			_, box, err := e.rename(ctx, c.Labels[labelJob], c.ID) // whoever sleeps over it starts it no more
			if err != nil {
				return nil, 0, 0, err
			}
			alive = box != nil && running(box)
		case fresh:
			alive = true
		}
		for _, gpu := range says.gpus {
			taken[gpu] = taken[gpu] || alive
		}
	}
	return taken, before, ahead, nil
}

// patients are the jobs of this process that wait for GPUs: what they are given, which is in
// no file, and when to ask for them again.
var patients = struct {
	sync.Mutex
	of map[string]*patient
}{of: map[string]*patient{}}

type patient struct {
	secrets map[string]string
	why     string
	again   time.Time
}

// How long a job waits before it asks again, for each job before it.
const (
	askAgain  = 500 * time.Millisecond
	askSeldom = 10 * time.Second
)

func (e *engine) patient(id string) *patient {
	patients.Lock()
	defer patients.Unlock()
	return patients.of[e.host+" "+id]
}

// remember keeps what is known of a job that waits; nil: it waits no more.
func (e *engine) remember(id string, p *patient) {
	patients.Lock()
	defer patients.Unlock()
	if p == nil {
		delete(patients.of, e.host+" "+id)
		return
	}
	patients.of[e.host+" "+id] = p
}

// employ starts a container once it is lent GPUs; until then why says what it waits for. It is
// done unless another took the name.
func (s *submission) employ(ctx context.Context, box *container.InspectResponse, r record) (done bool, why string, err error) {
	l, err := s.borrow(ctx, s.job.ID, box, r.GPUs, r.Of)
	if err != nil || l.name == "" {
		return false, "", err
	}
	if len(l.gpus) == 0 {
		why = fmt.Sprintf("it wants %s, and %d of %d free", plural(r.GPUs, "GPU"), l.free, r.Of)
		if l.before > 0 {
			why += fmt.Sprintf("; %s before it", plural(l.before, "job"))
		}
		s.remember(s.job.ID, &patient{secrets: s.job.Secrets, why: why, again: time.Now().Add(min(askAgain*time.Duration(1+l.before), askSeldom))})
		return true, why, nil
	}
	text := fmt.Sprintf("export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=%s\n", numbers(l.gpus, ","))
	err = s.send(ctx, l.name, func(w *tar.Writer) error { return addFile(w, gpusFile, readMode, []byte(text)) })
	if errdefs.IsNotFound(err) {
		return false, "", nil
	}
	if err == nil {
		done, err = s.launch(ctx, l.name)
	}
	if done || errors.Is(err, target.ErrPermanent) {
		s.remember(s.job.ID, nil)
	}
	if errors.Is(err, target.ErrPermanent) { // it never starts, and others wait
		if _, box, lost := s.rename(ctx, s.job.ID, l.name); lost == nil && box != nil && started(box) {
			_, lost = s.named(ctx, s.job.ID, box.ID, claim{gpus: l.gpus, at: time.Now()})
			err = errors.Join(err, lost)
		}
	}
	return done, "", err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lend starts a job that waits for GPUs, if they are free now, and says what it waits for.
func (d Driver) lend(ctx context.Context, e *engine, id string, box *container.InspectResponse) (why string, err error) {
	r, err := recordOf(*box)
	if err != nil || r.GPUs == 0 {
		return "", err
	}
	leave, err := enter(ctx, e.host+" "+id) // a submission of it may be under way
	if err != nil {
		return "", err
	}
	defer leave()
	s := submission{engine: e, driver: d, job: target.Job{ID: id}}
	if p := s.patient(id); p != nil {
		if time.Now().Before(p.again) {
			return p.why, nil
		}
		s.job.Secrets = p.secrets
	} else if r.Confided {
		return "its secrets were with a process that has ended, so it starts once it is submitted again", nil
	}
	_, why, err = s.employ(ctx, box, r)
	return why, err
}
