// Package tracking answers the tracking API of MLflow for the jobs of this computer, so
// that training code which logs with the MLflow client needs no change: one process for
// each state folder, at an address that stays. Jobs on other machines log into files; see
// StoreDir.
//
// Nothing is started for jobs that log nothing. Whoever submits a job listens at the
// address of the state folder, and starts the process with the first request, or once a
// job has run for a while; the process is given the open socket, and goes on when the one
// that started it is killed. So does the other one: who submits keeps the socket too, and
// a request that finds no process waits in it until there is another.
//
//	submitter killed   the process answers
//	process killed     the submitter starts another, or a second process, which stands by as soon as
//	                   the first has lived for a while, takes its place; requests wait
//	all three killed   the client tries again for some minutes, and the next command brings them back
//
// A job may see and write only what is its own: its token names its folder, and says that
// this state folder has given it. What it logs is in its folder, and is there before the
// client hears of it:
//
//	metrics.jsonl            metrics, among those that the job writes itself; see package ranks
//	tracked/journal.jsonl    all else: a line for each request that changed something
//	tracked/files/           the artifacts of runs, models and traces
//
// The folder of the process:
//
//	key      what tokens are made with
//	port     where it listens; locked (flock) by who has the socket
//	lock     held by the process as long as it lives
//	tracking.log
package tracking

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Service lets the jobs of one state folder log. The zero value is not usable; see New.
type Service struct {
	dir   string
	start Start

	starting sync.Mutex // held while the process is started

	mu   sync.Mutex
	hold *hold
	key  []byte
	jobs map[string]time.Time // folders of jobs that may log, and since when
}

// Start starts a process, in a session of its own, that calls Main with dir and copies of
// the two files. The channel is closed when it has ended.
type Start func(dir string, socket, lock *os.File) (ended <-chan struct{}, err error)

// New returns the service in the folder dir of a state folder: an absolute path. When start
// is nil jobs are told of no service.
func New(dir string, start Start) *Service {
	return &Service{dir: dir, start: start, jobs: map[string]time.Time{}}
}

// The files of the folder.
const (
	keyFile  = "key"
	portFile = "port"
	lockFile = "lock"
	logFile  = "tracking.log"
)

// LogFile is where the process in dir has its say.
func LogFile(dir string) string { return filepath.Join(dir, logFile) }

// Access is what a job needs to log.
type Access struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// Variables are those of the environment that the client of MLflow reads. It tries again
// for about eight minutes, as often as every version of it allows: one of 2.9 refuses ten.
func (a Access) Variables() map[string]string {
	return map[string]string{
		"MLFLOW_TRACKING_URI":             a.URL,
		"MLFLOW_TRACKING_TOKEN":           a.Token,
		"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9",
		// There is no page to show at the address that the client would print.
		"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
	}
}

// Admit lets the job in a folder log, which must be below the folder that the folder of
// the service is in. The same job is always given the same token. It is nil when nobody
// could answer the job; the log of the service says why.
func (s *Service) Admit(job string) *Access {
	if s == nil || s.start == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.admit(job)
	if err != nil {
		s.say(fmt.Errorf("let the job in %q log: %w", job, err))
		return nil
	}
	s.jobs[job] = time.Now()
	return a
}

func (s *Service) admit(job string) (*Access, error) {
	rel, err := filepath.Rel(filepath.Dir(s.dir), job)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, errors.New("it is not in the state folder")
	}
	port, err := s.claim()
	if err == nil && s.key == nil {
		s.key, err = readKey(s.dir)
	}
	if err != nil {
		return nil, err
	}
	return &Access{URL: "http://" + address(port), Token: token(s.key, filepath.ToSlash(rel))}, nil
}

// Watch remembers that a job which was admitted goes on.
func (s *Service) Watch(job string) {
	if s == nil || s.start == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.jobs[job]; !ok {
		s.jobs[job] = time.Now()
	}
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// token is the name of a job's folder and the proof that we have given it.
func token(key []byte, rel string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(rel))
	return hex.EncodeToString(m.Sum(nil)) + "/" + rel
}

// jobOf returns the folder that a token is for, below the state folder.
func jobOf(key []byte, said string) (rel string, ok bool) {
	_, rel, _ = strings.Cut(said, "/")
	return rel, hmac.Equal([]byte(said), []byte(token(key, rel))) && filepath.IsLocal(rel)
}

// readKey reads the key of dir, which is made once.
func readKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	for range 2 {
		text, err := os.ReadFile(path)
		if err == nil && len(text) >= 26 {
			return text, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		tmp := path + "." + rand.Text()[:8]
		if err := os.WriteFile(tmp, []byte(rand.Text()), 0o600); err != nil {
			return nil, err
		}
		err = os.Link(tmp, path) // unless somebody else was first
		if os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%q holds no key: remove it when no job is running", path)
}
