package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// devices are the names of GPUs as CUDA_VISIBLE_DEVICES takes them: numbers, or what
// nvidia-smi -L says ("GPU-…", "MIG-…"). A setting is a list of them, or how many of
// the first ones there are.
type devices []string

// UnmarshalJSON implements json.Unmarshaler.
func (d *devices) UnmarshalJSON(text []byte) error {
	var n int
	if json.Unmarshal(text, &n) == nil {
		*d = nil
		for i := range min(max(n, 0), mostGPUs) {
			*d = append(*d, strconv.Itoa(i))
		}
		return nil
	}
	var names []any
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	*d = nil
	for _, name := range names {
		*d = append(*d, fmt.Sprint(name))
	}
	return nil
}

const mostGPUs = 1024

// present reports GPUs that are lent and are not there. Only NVIDIA's can be counted, by
// the program that comes with their driver; others are taken on trust.
func (d devices) present(ctx context.Context, name string) error {
	if len(d) == 0 {
		return nil
	}
	list, n, err := listGPUs(ctx)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("target %q lends GPUs, and nvidia-smi does not answer: %w: %.300s", name, err, bytes.TrimSpace(list))
	}
	for _, device := range d {
		number, err := strconv.Atoi(device)
		if err == nil && number >= n || err != nil && !strings.Contains(string(list), device) {
			return fmt.Errorf("target %q lends the GPU %q, which nvidia-smi does not know: correct `gpus` of the target; there is:\n%s", name, device, bytes.TrimSpace(list))
		}
	}
	return nil
}

// listGPUs is what nvidia-smi says of the GPUs here, and how many these are.
func listGPUs(ctx context.Context) (list []byte, n int, err error) {
	smi, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	list, err = exec.CommandContext(ctx, smi, "-L").CombinedOutput()
	return list, strings.Count("\n"+string(list), "\nGPU "), err
}

// countGPUs is how many GPUs there are here; nil: nothing can count them.
func countGPUs(ctx context.Context) *int {
	_, n, err := listGPUs(ctx)
	if err != nil {
		return nil
	}
	return &n
}

// lending is the content of gpus/lending.json: who has which GPUs of this computer, and
// who waits for some, the first come first. It is locked by gpus/lock, and never synced:
// no job that it tells of survives a restart of the machine.
type lending struct {
	Held    map[string][]string `json:"held"` // by the id of the job
	Waiting []waiting           `json:"waiting,omitempty"`

	read []byte // what the file said
}

type waiting struct {
	ID    string    `json:"id"`
	Wants int       `json:"wants"`
	Seen  time.Time `json:"seen"` // when someone last asked for it
}

// forsaken is after how long a job that nobody asks for no longer has a place in the
// queue: those who come behind it would wait for nothing. It gets a new one when somebody
// asks again.
const forsaken = 2 * time.Minute

// confided are the secrets of jobs that were submitted to this process and wait. They are
// in no file.
var confided struct {
	sync.Mutex
	of map[string]map[string]string
}

func confide(id string, secrets map[string]string) {
	confided.Lock()
	defer confided.Unlock()
	if confided.of == nil {
		confided.of = map[string]map[string]string{}
	}
	if len(secrets) > 0 {
		confided.of[id] = secrets
	}
}

func betray(id string) {
	confided.Lock()
	defer confided.Unlock()
	delete(confided.of, id)
}

func secretsOf(id string) map[string]string {
	confided.Lock()
	defer confided.Unlock()
	return confided.of[id]
}

// borrow starts a job that was prepared and asks for GPUs, if it is its turn and there
// are enough. Otherwise it says what it waits for.
func (d Driver) borrow(ctx context.Context, f folder, r record) (why string, err error) {
	home := filepath.Join(d.Dir, "gpus")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	lock, err := jobdir.Lock(ctx, filepath.Join(home, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if f.started() || jobdir.Stopping(f.rank(0)) || exists(d.tombstone(r.Job.ID)) {
		return "", nil
	}
	l, err := readLending(home)
	if err != nil {
		return "", err
	}
	if err := d.reclaim(&l, r.Job.ID); err != nil {
		return "", err
	}
	why = l.grant(r.Job.ID, r.GPUs, r.Needs.GPUs*r.Needs.Nodes, time.Now())
	if err := l.write(home); err != nil || why != "" {
		return why, err
	}
	err = d.Start(ctx, r.Job.ID, secretsOf(r.Job.ID))
	if errors.Is(err, ErrUnprepared) {
		return "its secrets were with a process that has ended, so it starts once it is submitted again", nil
	}
	if err == nil {
		betray(r.Job.ID)
	}
	return "", err
}

// reclaim takes back what jobs have that ended, and the places of those that will not
// start any more. The job that asks keeps its own.
func (d Driver) reclaim(l *lending, asks string) error {
	for id := range l.Held {
		ended, err := d.over(id)
		if err != nil {
			return err
		}
		if ended && id != asks {
			delete(l.Held, id)
		}
	}
	l.Waiting = slices.DeleteFunc(l.Waiting, func(w waiting) bool {
		f, err := d.folder(w.ID)
		return w.ID != asks && (err != nil || !f.exists() || jobdir.Stopping(f.rank(0)) || time.Since(w.Seen) > forsaken)
	})
	return nil
}

// over reports whether no process of a job is alive, or will be.
func (d Driver) over(id string) (bool, error) {
	f, err := d.folder(id)
	if err != nil || !f.exists() {
		return true, nil
	}
	r, ok, err := f.read()
	if err != nil || !ok {
		return !ok, err
	}
	views, err := f.look(r.Job.Ranks())
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(views, func(v jobdir.View) bool { return v.Phase == jobdir.Running }) &&
		(jobdir.Stopping(f.rank(0)) || jobdir.Started(f.rank(0))), nil
}

// grant lends a job so many of the devices if they are free, and enough are left for all
// who came before it; else it says why not, and the job has a place in the queue.
func (l *lending) grant(id string, of []string, wants int, now time.Time) (why string) {
	if _, has := l.Held[id]; has {
		return ""
	}
	taken := map[string]bool{}
	for _, names := range l.Held {
		for _, name := range names {
			taken[name] = true
		}
	}
	free := slices.DeleteFunc(slices.Clone(of), func(name string) bool { return taken[name] })
	place := slices.IndexFunc(l.Waiting, func(w waiting) bool { return w.ID == id })
	if place < 0 {
		place = len(l.Waiting)
		l.Waiting = append(l.Waiting, waiting{ID: id, Wants: wants})
	}
	if now.Sub(l.Waiting[place].Seen) > forsaken/4 { // seldom, since the file is written then
		l.Waiting[place].Seen = now
	}
	before := 0
	for _, w := range l.Waiting[:place] {
		before += w.Wants
	}
	if before+wants > len(free) {
		why = fmt.Sprintf("it wants %s, and %d of %d free", plural(wants, "GPU"), len(free), len(of))
		if place > 0 {
			why += fmt.Sprintf("; %s before it", plural(place, "job"))
		}
		return why
	}
	l.Waiting = slices.Delete(l.Waiting, place, place+1)
	l.Held[id] = free[before : before+wants]
	return ""
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func readLending(home string) (lending, error) {
	l := lending{}
	text, err := os.ReadFile(filepath.Join(home, "lending.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	if json.Unmarshal(text, &l) != nil {
		l = lending{} // none, or half of one that the machine forgot, and its jobs with it
	}
	l.read = text
	if l.Held == nil {
		l.Held = map[string][]string{}
	}
	return l, nil
}

func (l lending) write(home string) error {
	text, err := json.Marshal(l)
	if err != nil || bytes.Equal(text, l.read) {
		return err
	}
	tmp := filepath.Join(home, ".lending.json") // the caller has the lock
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(home, "lending.json"))
}

// lent are the GPUs that a job has.
func (d Driver) lent(id string) ([]string, error) {
	l, err := readLending(filepath.Join(d.Dir, "gpus"))
	return l.Held[id], err
}

// visible are the variables that tell rank n which GPUs it may use: those of its node.
// A target that lends GPUs shows none to a job that asks for none; one that says nothing
// about them leaves all as it is.
func (r record) visible(n int) map[string]string {
	if len(r.GPUs) == 0 {
		return nil
	}
	env := map[string]string{
		"CUDA_DEVICE_ORDER":    "PCI_BUS_ID", // so that numbers mean the same as in nvidia-smi
		"CUDA_VISIBLE_DEVICES": "",
	}
	if each := r.Needs.GPUs; each > 0 && len(r.Lent) >= each*r.Needs.Nodes {
		node := n / max(r.Job.PerNode(), 1)
		env["CUDA_VISIBLE_DEVICES"] = strings.Join(r.Lent[node*each:(node+1)*each], ",")
	}
	return env
}

// waits reports whether a job starts only when it has its GPUs.
func (r record) waits() bool { return r.Needs.GPUs > 0 }

// queue is the rest of Submit for such a job, once it is prepared.
func (d Driver) queue(ctx context.Context, f folder, job target.Job) error {
	confide(job.ID, job.Secrets)
	r, ok, err := f.read()
	if err != nil || !ok {
		return err
	}
	_, err = d.borrow(ctx, f, r)
	return err
}
