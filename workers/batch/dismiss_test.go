package batch_test

import (
	"os/exec"
	"testing"
)

// The first slot of another rank may have heard that nothing is left to do before the second
// one has connected, which would find nobody if rank 0 ended then.
func TestEverySlotHearsTheEnd(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: python3 is not installed: apt-get install python3")
	}
	c := exec.Command("python3", "-B", "-c", `
import os, socket, batch
port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]
os.environ.update(AMLFLOW_JOB="j", AMLFLOW_BATCH="{}", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK="1")
class Done:
    def take(self): return None
host = batch.Host(Done())
host.start()
first = batch.Peer()
assert first.take() is None
assert first.wire.file.read() == b"", "its connection is not closed"
assert not host.dismiss(2, 0), "rank 0 does not wait for the second slot"
second = batch.Peer()
assert second.take() is None
assert host.dismiss(2), "rank 0 waits for nobody"
`)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
