//go:build !slim

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/common/primitives"
)

func sleeper(ctx workflow.Context) error { return workflow.Sleep(ctx, time.Hour) }

// parent starts more children than a closing parent ends by itself in a stock server, and leaves them running.
func parent(ctx workflow.Context, children int) error {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{ParentClosePolicy: enums.PARENT_CLOSE_POLICY_TERMINATE})
	for range children {
		child := workflow.ExecuteChildWorkflow(ctx, sleeper)
		if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// countdown continues as new until it is at zero, over a timer each time.
func countdown(ctx workflow.Context, n int) (string, error) {
	if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
		return "", err
	}
	if n > 0 {
		return "", workflow.NewContinueAsNewError(ctx, countdown, n-1)
	}
	return "lift-off", nil
}

// counter answers a query and takes updates until it is told to end.
func counter(ctx workflow.Context) (int, error) {
	total := 0
	if err := workflow.SetQueryHandler(ctx, "total", func() (int, error) { return total, nil }); err != nil {
		return 0, err
	}
	err := workflow.SetUpdateHandler(ctx, "add", func(_ workflow.Context, n int) (int, error) { total += n; return total, nil })
	if err != nil {
		return 0, err
	}
	workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
	return total, nil
}

func registerAll(r worker.Registry) {
	for _, w := range []any{sleeper, parent, countdown, counter} {
		r.RegisterWorkflow(w)
	}
}

// TestServesWithoutTheSystemWorker holds what we use of Temporal against the services that we leave out.
func TestServesWithoutTheSystemWorker(t *testing.T) {
	c := dialled(t, startServer(t, t.TempDir()).Address())
	work(t, c, registerAll)
	for name, test := range map[string]func(*testing.T, client.Client){
		"continue as new and timers":    servesContinueAsNew,
		"signal, query and update":      servesMessages,
		"cancel and terminate":          servesEnds,
		"children of a parent that end": servesChildren,
		"listing and counting":          servesListing,
		"a long memory":                 servesRetention,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, c) })
	}
}

func begin(t *testing.T, c client.Client, o client.StartWorkflowOptions, w any, args ...any) client.WorkflowRun {
	t.Helper()
	o.TaskQueue = queue
	run, err := c.ExecuteWorkflow(testContext(t), o, w, args...)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func servesContinueAsNew(t *testing.T, c client.Client) {
	var got string
	if err := begin(t, c, client.StartWorkflowOptions{}, countdown, 3).Get(testContext(t), &got); err != nil || got != "lift-off" {
		t.Errorf("got %q, %v", got, err)
	}
}

func servesMessages(t *testing.T, c client.Client) {
	ctx, run := testContext(t), begin(t, c, client.StartWorkflowOptions{}, counter)
	var total int
	update, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: run.GetID(), UpdateName: "add", Args: []any{2}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err := firstError(err, func() error { return update.Get(ctx, &total) }); err != nil || total != 2 {
		t.Errorf("the update said %d, %v", total, err)
	}
	answer, err := c.QueryWorkflow(ctx, run.GetID(), "", "total")
	if err := firstError(err, func() error { return answer.Get(&total) }); err != nil || total != 2 {
		t.Errorf("the query said %d, %v", total, err)
	}
	if err := c.SignalWorkflow(ctx, run.GetID(), "", "end", nil); err != nil {
		t.Error(err)
	}
	if err := run.Get(ctx, &total); err != nil || total != 2 {
		t.Errorf("the end was %d, %v", total, err)
	}
}

func firstError(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

func servesEnds(t *testing.T, c client.Client) {
	ctx := testContext(t)
	cancelled, ended := begin(t, c, client.StartWorkflowOptions{}, sleeper), begin(t, c, client.StartWorkflowOptions{}, sleeper)
	if err := c.CancelWorkflow(ctx, cancelled.GetID(), ""); err != nil {
		t.Error(err)
	}
	if err := c.TerminateWorkflow(ctx, ended.GetID(), "", "test"); err != nil {
		t.Error(err)
	}
	if err := cancelled.Get(ctx, nil); !temporal.IsCanceledError(err) {
		t.Errorf("the cancelled one ended with %v", err)
	}
	var terminated *temporal.TerminatedError
	if err := ended.Get(ctx, nil); !errors.As(err, &terminated) {
		t.Errorf("the terminated one ended with %v", err)
	}
}

func servesChildren(t *testing.T, c client.Client) {
	run := begin(t, c, client.StartWorkflowOptions{}, parent, 15)
	if err := run.Get(testContext(t), nil); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of all children", func() bool {
		return count(t, c, "ParentWorkflowId='"+run.GetID()+"' AND ExecutionStatus='Terminated'") == 15
	})
}

func count(t *testing.T, c client.Client, query string) int64 {
	t.Helper()
	r, err := c.CountWorkflow(testContext(t), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	if err != nil {
		t.Fatal(err)
	}
	return r.Count
}

func servesListing(t *testing.T, c client.Client) {
	run := begin(t, c, client.StartWorkflowOptions{Memo: map[string]any{"k": "v"}}, sleeper)
	query := "ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH '" + run.GetID() + "'"
	await(t, "the run to be listed", func() bool { return count(t, c, query) == 1 })
	list, err := c.ListWorkflow(testContext(t), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
	if err != nil || len(list.Executions) != 1 {
		t.Fatalf("listed %v, %v", list, err)
	}
	got := list.Executions[0]
	if got.Execution.WorkflowId != run.GetID() || string(got.Memo.GetFields()["k"].GetData()) != `"v"` {
		t.Errorf("listed %v", got)
	}
}

func servesRetention(t *testing.T, c client.Client) {
	r, err := c.WorkflowService().DescribeNamespace(testContext(t), &workflowservice.DescribeNamespaceRequest{Namespace: DefaultNamespace})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Config.WorkflowExecutionRetentionTtl.AsDuration(); got != retention {
		t.Errorf("runs are kept for %v, not %v", got, retention)
	}
}

func TestSecondStartSaysWhoHoldsTheFolder(t *testing.T) {
	dir := t.TempDir()
	other := startChild(t, dir)
	_, err := Start(testContext(t), Options{Dir: dir})
	var busy *BusyError
	if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) || busy.PID != other.Process.Pid {
		t.Fatalf("got %v, wanted the process %d", err, other.Process.Pid)
	}
	if !strings.Contains(err.Error(), strconv.Itoa(other.Process.Pid)) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%q names neither process nor folder", err)
	}
	dialled(t, other.address) // it was not disturbed
}

func TestStartsAgainInTheSameProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20?x#é") // a path that is not a URI
	for range 2 {
		e := startServer(t, dir)
		dialled(t, e.Address()).Close()
		e.Stop()
		e.Stop() // does no harm
	}
	if _, err := os.Stat(filepath.Join(dir, "engine.db")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	startServer(t, dir) // the lock was given back
}

func TestPortsAreClosedToOthers(t *testing.T) {
	e := startServer(t, t.TempDir())
	for _, s := range services {
		at := e.ports.address(primitives.ServiceName(s))
		if _, err := Dial(testContext(t), Address{HostPort: at}, nil); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "TLS") {
			t.Errorf("plain text to %s: %v", s, err)
		}
		if err := greet(at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}); err == nil || !isAlert(err) {
			t.Errorf("no certificate to %s: %v", s, err)
		}
	}
	_, port, _ := net.SplitHostPort(e.Address().HostPort)
	for _, ip := range otherAddresses(t) {
		if conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip, port), time.Second); err == nil {
			_ = conn.Close()
			t.Errorf("the server answers on %s", ip)
		}
	}
}

// greet waits for the first byte that the server says under TLS.
func greet(at string, c *tls.Config) error {
	conn, err := tls.Dial("tcp", at, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

func otherAddresses(t *testing.T) (out []string) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			out = append(out, ip.IP.String())
		}
	}
	return out
}

func TestTakenPortIsAnErrorToTryAgainOn(t *testing.T) {
	taken, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := Options{Dir: t.TempDir()}
	e := &Embedded{database: databaseIn(o), failed: make(chan error, 1)}
	if err := e.database.prepare(testContext(t), DefaultNamespace); err != nil {
		t.Fatal(err)
	}
	on, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	on[primitives.MatchingService] = taken.Addr().(*net.TCPAddr).Port
	pass, err := issue()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.build(o, on, pass); err == nil || !isPortTaken(err) {
		t.Errorf("got %v", err)
	}
}
