package tracking

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// maxBody is the most that a request may say in JSON. The client sends at most 1 MB, but
// for traces.
const maxBody = 32 << 20

// problem is an error as the client of MLflow understands it.
type problem struct {
	status int
	code   string
	text   string
}

func (p *problem) Error() string { return p.text }

func missing(format string, args ...any) error {
	return &problem{http.StatusNotFound, "RESOURCE_DOES_NOT_EXIST", fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &problem{http.StatusBadRequest, "INVALID_PARAMETER_VALUE", fmt.Sprintf(format, args...)}
}

func exists(format string, args ...any) error {
	return &problem{http.StatusBadRequest, "RESOURCE_ALREADY_EXISTS", fmt.Sprintf(format, args...)}
}

// handler is the whole API behind its gate.
func (d *desk) handler() http.Handler {
	mux := http.NewServeMux()
	d.routes(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		d.touch(1)
		defer d.touch(-1)
		defer d.recover(w, q)
		if host, _, err := net.SplitHostPort(q.Host); err != nil || host != "127.0.0.1" && host != "localhost" {
			refuse(w, &problem{http.StatusForbidden, "PERMISSION_DENIED", "this address answers jobs of this computer only"})
			return
		}
		mux.ServeHTTP(w, q)
	})
}

// recover answers in a way that the client does not try again: it would fail again.
func (d *desk) recover(w http.ResponseWriter, q *http.Request) {
	if r := recover(); r != nil {
		if r == http.ErrAbortHandler {
			panic(r)
		}
		d.log.Error("a request went wrong", "path", q.URL.Path, "error", r, "stack", string(debug.Stack()))
		refuse(w, &problem{http.StatusNotImplemented, "NOT_IMPLEMENTED", "amlflow has made a mistake; its tracking.log tells more"})
	}
}

// admitted finds the job that a request comes from.
func (d *desk) admitted(q *http.Request) (*job, error) {
	said, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	rel, valid := jobOf(d.key, said)
	if !ok || !valid {
		return nil, &problem{http.StatusUnauthorized, "UNAUTHENTICATED", "a job gives the token that is in MLFLOW_TRACKING_TOKEN"}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := filepath.Join(d.home, filepath.FromSlash(rel))
	if !there(filepath.Join(dir, "job.json")) {
		delete(d.jobs, rel)
		return nil, missing("the job has gone")
	}
	j := d.jobs[rel]
	if j == nil {
		j = &job{dir: dir, record: d.recordOf(dir)}
		d.jobs[rel] = j
	}
	j.asked = time.Now()
	return j, nil
}

// query is one request, for one job whose lock is held.
type query struct {
	*http.Request
	job *job
}

// answer is what a route does. It is alone with the job, and gives what is to be written
// as JSON; nil stands for an empty object.
type answer func(q query) (any, error)

func (d *desk) handle(mux *http.ServeMux, pattern string, do answer) {
	method, path, _ := strings.Cut(pattern, " ")
	for _, version := range []string{"2.0", "3.0"} {
		mux.HandleFunc(method+" /api/"+version+"/mlflow/"+path, func(w http.ResponseWriter, q *http.Request) {
			j, err := d.admitted(q)
			if err != nil {
				refuse(w, err)
				return
			}
			q.Body = http.MaxBytesReader(w, q.Body, maxBody)
			said, err := j.answer(q, do)
			if err != nil {
				d.tell(q, err)
				refuse(w, err)
				return
			}
			reply(w, http.StatusOK, said)
		})
	}
}

func (j *job) answer(q *http.Request, do answer) (any, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil {
		return nil, err
	}
	return do(query{q, j})
}

// tell logs what is no fault of the client.
func (d *desk) tell(q *http.Request, err error) {
	var p *problem
	if !errors.As(err, &p) {
		d.log.Error("a request could not be carried out", "path", q.URL.Path, "error", err)
	}
}

func refuse(w http.ResponseWriter, err error) {
	var p *problem
	if !errors.As(err, &p) {
		// Not 500, which the client would try again for a day: the disk is full, say.
		p = &problem{http.StatusInsufficientStorage, "INTERNAL_ERROR", err.Error()}
	}
	reply(w, p.status, map[string]string{"error_code": p.code, "message": p.text})
}

func reply(w http.ResponseWriter, status int, said any) {
	if said == nil {
		said = struct{}{}
	}
	text, err := json.Marshal(said)
	if err != nil {
		status, text = http.StatusNotImplemented, []byte(`{"error_code": "INTERNAL_ERROR", "message": "the answer is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// listNames are what a query may say several times.
var listNames = []string{"experiment_ids", "order_by", "run_ids", "stages"}

// read reads what a request says, from its body, or from the address of one without.
func (q query) read(into any) error {
	if q.Method == http.MethodGet {
		flat := map[string]any{}
		for name, all := range q.URL.Query() {
			if flat[name] = any(all[0]); len(all) > 1 || slices.Contains(listNames, name) {
				flat[name] = all
			}
		}
		text, err := json.Marshal(flat)
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return invalid("the query cannot be read: %v", err)
		}
		return nil
	}
	text, err := io.ReadAll(q.Body)
	if err != nil {
		return invalid("the request cannot be read: %v", err)
	}
	if len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return invalid("the request is no JSON of the right form: %v", err)
	}
	return nil
}

// does makes a route of a function that is given what the request says.
func does[In any](f func(j *job, in In) (any, error)) answer {
	return func(q query) (any, error) {
		var in In
		if err := q.read(&in); err != nil {
			return nil, err
		}
		return f(q.job, in)
	}
}
