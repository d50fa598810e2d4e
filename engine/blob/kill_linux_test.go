package blob_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/workers/target"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("BLOB_TEST_WRITER"); dir != "" {
		var round, at uint64
		if _, err := fmt.Sscan(os.Getenv("BLOB_TEST_ROUND"), &round, &at); err != nil {
			panic(err)
		}
		write(dir, round, int64(at))
	}
	os.Exit(m.Run())
}

// write stores artifacts that no other round has until it is killed: by itself when the
// store has read so many bytes, or by someone else if at is 0. Every other one is
// a file that the store takes over.
func write(dir string, round uint64, at int64) {
	s, err := blob.OpenFolder(dir)
	if err != nil {
		panic(err)
	}
	mortal := &mortal{left: at}
	for i := uint64(0); ; i++ {
		word := binary.BigEndian.AppendUint64(nil, round<<32|i)
		content := bytes.Repeat(word, 140_000)
		if mortal.Reader = bytes.NewReader(content); i%2 == 0 {
			_, err = s.Put(context.Background(), mortal)
		} else {
			err = give(s, filepath.Join(dir, "given"), content)
		}
		if err != nil {
			panic(err)
		}
	}
}

// give lets the store take a file over.
func give(s blob.Folder, path string, content []byte) error {
	os.Remove(path)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = s.Adopt(context.Background(), f)
	return err
}

// mortal kills the process when so many bytes were read from it in all.
type mortal struct {
	io.Reader
	left int64
}

func (m *mortal) Read(p []byte) (int, error) {
	if m.left > 0 {
		p = p[:min(int64(len(p)), m.left)]
	}
	n, err := m.Reader.Read(p)
	if m.left > 0 {
		if m.left -= int64(n); m.left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	return n, err
}

// A writer is killed 200 times: half of the times at a byte of what it stores, and half
// at a moment. Whatever bears a digest as its name has the content to it.
func TestAKilledWriterLeavesNoTornArtifact(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s, dir := open(t)
	whole, half := 0, 0
	for round := range 200 {
		var at int64
		if round%2 == 0 {
			at = 1 + rng.Int64N(4_000_000)
		}
		kill(t, dir, round, at, time.Duration(rng.IntN(30))*time.Millisecond)
		for _, f := range files(t, filepath.Join(dir, "sha256")) {
			if _, err := read(t, s, target.Ref("sha256:"+filepath.Base(f))); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			os.Remove(f)
			whole++
		}
		for _, f := range files(t, filepath.Join(dir, "tmp")) {
			os.Remove(f)
			half++
		}
	}
	t.Logf("%d whole artifacts, %d that were begun", whole, half)
	if whole < 100 || half < 50 {
		t.Errorf("%d artifacts are whole, and %d were begun: too few to say anything", whole, half)
	}
}

// kill starts a writer and waits until it has killed itself, or kills it after a moment.
func kill(t *testing.T, dir string, round int, at int64, moment time.Duration) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "BLOB_TEST_WRITER="+dir, fmt.Sprintf("BLOB_TEST_ROUND=%d %d", round, at))
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if at == 0 {
		time.Sleep(moment) // the fault comes at any moment
		_ = c.Process.Kill()
	}
	err := c.Wait()
	if st, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || st.Signal() != syscall.SIGKILL {
		t.Fatalf("the writer was not killed: %v", err)
	}
}
