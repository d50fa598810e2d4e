package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// gatewayDir makes the test binary be a gateway: a process that can be killed.
const gatewayDir = "GATEWAY_OF_TEST"

// guarded has that gateway come back by itself.
const guarded = "GUARDED_GATEWAY_OF_TEST"

func TestMain(m *testing.M) {
	if version := os.Getenv(instanceVersion); version != "" {
		beInstance(version)
	}
	if target := os.Getenv(plainTarget); target != "" {
		bePlainProxy(target)
	}
	if dir := os.Getenv(gatewayDir); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		var again []string
		if os.Getenv(guarded) != "" {
			again = []string{os.Args[0], "-test.run=^$"}
		}
		if err := Main(ctx, dir, nil, os.Stderr, again...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// place is a state folder whose gateways and instances end with the test.
type place struct {
	testing.TB
	Folder
	blobs *blobs

	mu      sync.Mutex
	started []*exec.Cmd
	env     []string // of the gateways to be started
}

func newPlace(t *testing.T) *place {
	t.Parallel()
	return newSerialPlace(t)
}

// newSerialPlace is for tests that alter the environment of this process.
func newSerialPlace(t testing.TB) *place {
	p := &place{TB: t, blobs: &blobs{text: map[target.Ref][]byte{}}}
	p.Dir = filepath.Join(t.TempDir(), "gateway")
	p.Folder.Start = p.startProcess
	p.env = []string{fmt.Sprintf("%s=%d", PortVariable, ownPort(t))}
	t.Cleanup(p.end)
	return p
}

var lastPort atomic.Int32

// ownPort returns a port for one gateway. It is none that the system gives to others,
// so that nobody takes it while the gateway is dead.
func ownPort(t testing.TB) int {
	const first, many = 10_000, 20_000
	lastPort.CompareAndSwap(0, int32(os.Getpid()*41%many))
	for range 100 {
		port := first + int(lastPort.Add(1))%many
		if l, err := bindTo(port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// blobs keeps content in memory.
type blobs struct {
	mu   sync.Mutex
	text map[target.Ref][]byte
}

func (b *blobs) Open(_ context.Context, ref target.Ref) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, ok := b.text[ref]
	if !ok {
		return nil, fmt.Errorf("no content is named %s", ref)
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

func (b *blobs) Put(_ context.Context, r io.Reader) (target.Ref, error) {
	text, err := io.ReadAll(r)
	ref := target.Ref(fmt.Sprintf("sha256:%x", sha256.Sum256(text)))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text[ref] = text
	return ref, err
}

func (p *place) startProcess(dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(dir, "test.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(append(os.Environ(), gatewayDir+"="+dir), p.env...)
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	p.started = append(p.started, c)
	return nil
}

// killGateway ends all gateways at once and waits until they are gone.
func (p *place) killGateway(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.started {
		_ = c.Process.Signal(sig)
		_ = c.Wait()
	}
	p.started = nil
}

func (p *place) end() {
	p.killGateway(syscall.SIGKILL)
	folders, _ := filepath.Glob(filepath.Join(p.Dir, "endpoints", "*", "deployments", "*", instancesDir, "*", "[0-9]*"))
	for _, dir := range folders {
		if err := jobdir.Stop(dir, "test", 0); err != nil {
			p.Error(err)
		}
		p.await("the end of "+dir, func() bool {
			v, err := jobdir.Look(dir)
			return err != nil || v.Phase != jobdir.Running
		})
	}
	log, _ := os.ReadFile(filepath.Join(p.Dir, "test.log"))
	if bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic")) {
		p.Error("a gateway went wrong")
	}
	if p.Failed() {
		p.Logf("log of the gateways:\n%s", log)
	}
}

func (p *place) await(what string, done func() bool) {
	p.Helper()
	p.awaitOr(what, done, func() string { return "" })
}

// awaitOr is await that says how it is when it has waited in vain.
func (p *place) awaitOr(what string, done func() bool, how func() string) {
	p.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			p.Fatalf("waited in vain for %s %s", what, how())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// code stores a folder of files given as name, text, name, text…
func (p *place) code(files ...string) target.Ref {
	p.Helper()
	dir := p.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o644); err != nil {
			p.Fatal(err)
		}
	}
	ref, err := target.PutTree(p.Context(), p.blobs, dir, nil)
	if err != nil {
		p.Fatal(err)
	}
	return ref
}

// answering is a score file that answers with v, its process, and the request.
func answering(v string) string {
	return fmt.Sprintf("import os\ndef run(data):\n    return {'v': %s, 'pid': os.getpid(), 'data': data}\n", v)
}

func (p *place) wish(id, endpoint, score string) target.Deployment {
	return target.Deployment{
		ID: id, Endpoint: endpoint, Run: "r1", Stage: "serve", Score: "score.py", Code: p.code("score.py", score),
		Host: map[string]string{"PATH": os.Getenv("PATH")}, Instances: 1, Ready: 20 * time.Second,
		Sample: &target.Sample{Request: json.RawMessage(`{"x": 1}`)},
	}
}

func (p *place) deploy(d target.Deployment) {
	p.Helper()
	if err := p.Deploy(p.Context(), target.Target{Name: "web", Kind: "local"}, d, p.blobs); err != nil {
		p.Fatal(err)
	}
}

func (p *place) deployed(id string) target.Rollout {
	p.Helper()
	r, err := p.Deployed(p.Context(), id)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// settle waits for the end of a rollout.
func (p *place) settle(id string) (r target.Rollout) {
	p.Helper()
	p.await("the end of rollout "+id, func() bool { r = p.deployed(id); return r.State.Ended() })
	return r
}

// live deploys d, and returns the URL once it is live.
func (p *place) live(d target.Deployment) string {
	p.Helper()
	p.deploy(d)
	r := p.settle(d.ID)
	if r.State != target.Succeeded || r.URL == "" {
		p.Fatalf("rollout of %s: %+v", d.ID, r)
	}
	return r.URL
}

func (p *place) only() target.Endpoint {
	p.Helper()
	list, err := p.Endpoints(p.Context(), target.Target{Name: "web", Kind: "local"})
	if err != nil || len(list) != 1 {
		p.Fatalf("endpoints: %+v, %v", list, err)
	}
	return list[0]
}

type reply struct {
	V    json.RawMessage `json:"v"`
	PID  int             `json:"pid"`
	Data json.RawMessage `json:"data"`
}

// ask posts JSON and returns the answer, or an error for anything but a 200.
func ask(c *http.Client, url, body string) (reply, error) {
	var r reply
	resp, err := c.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %s", resp.StatusCode, text)
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

func (p *place) ask(url, body string) reply {
	p.Helper()
	r, err := ask(http.DefaultClient, url, body)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// send makes a request as written and returns status and body.
func (p *place) send(method, url, body string, alter func(*http.Request)) (int, string) {
	p.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	if alter != nil {
		alter(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (p *place) logOf(instance int) string {
	p.Helper()
	var b bytes.Buffer
	if _, err := p.ReadEndpoint(p.Context(), "web", "m", "", instance, 0, &b); err != nil {
		p.Fatal(err)
	}
	return b.String()
}
