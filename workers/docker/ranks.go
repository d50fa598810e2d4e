package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/api/types/container"
)

// The ranks of a job are processes of its one container. So they start together or not
// at all, by the one start that is claimed; their network is the container's own; and
// when the container ends, nothing of any of them is left.

// masterAddress is where rank 0 and all others are.
const masterAddress = "127.0.0.1"

// mostRanks is how many processes one job may have.
const mostRanks = 1024

// ranksDir has a folder for each rank but the first, with what root has for that.
const ranksDir = root + "/ranks"

// rankDir is the folder of rank n.
func rankDir(n int) string {
	if n == 0 {
		return root
	}
	return ranksDir + "/" + strconv.Itoa(n)
}

// ofRank is where rank n has what is at p for rank 0. In the folder of start.sh, names
// end with the number.
func ofRank(n int, p string) string {
	switch {
	case n == 0:
		return p
	case strings.HasPrefix(p, lifeDir+"/"):
		return p + "." + strconv.Itoa(n)
	}
	return rankDir(n) + strings.TrimPrefix(p, root)
}

// ranks is how many processes start.sh starts.
func (r record) ranks() int { return max(r.Ranks, 1) }

// somePort is the first of the ports that are for the ranks. In a network of its own a
// container has all ports to itself; in that of the machine it has to be lucky.
func (s *submission) somePort() int {
	if s.s.Network == "host" {
		return 20_000 + rand.IntN(12_000)
	}
	return 29_500
}

// furnish gives rank n its folders, its code, and what it begins from. code and from are
// folders of this computer, empty for none.
func (s *submission) furnish(w *tar.Writer, n int, r record, code, from string) error {
	for _, dir := range []string{codeDir, outDir, reportDir, tmpDir} {
		if err := addDir(w, ofRank(n, dir), openDir); err != nil {
			return err
		}
	}
	if code != "" {
		if err := addTree(w, code, ofRank(n, codeDir), true); err != nil {
			return fmt.Errorf("code: %w", err)
		}
	}
	if c := r.Checkpoint; c != nil {
		if err := addCheckpoints(w, ofRank(n, codeDir), c.Path, from); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	for _, a := range r.Outputs {
		if a.Type == target.File {
			continue
		}
		if err := addDir(w, path.Join(ofRank(n, outDir), a.Name), openDir); err != nil {
			return err
		}
	}
	if s.job.Launch == nil || s.job.Launch.Kind != target.LaunchMPI {
		return nil
	}
	hosts := slices.Repeat([]string{masterAddress}, s.job.Nodes())
	return addFile(w, path.Join(rankDir(n), ranks.HostFile), openMode, []byte(ranks.Hosts(s.job, hosts)))
}

// decider returns the rank that failed first, which start.sh has on record: 0 when none
// has, or when nobody knows.
func (e *engine) decider(ctx context.Context, box *container.InspectResponse, r record) (int, error) {
	if r.ranks() == 1 {
		return 0, nil
	}
	text, err := e.small(ctx, box.ID, endsFile)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		number, status, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(number); err == nil && status != "0" && n >= 0 && n < r.ranks() {
			return n, nil
		}
	}
	return 0, nil
}

// mostSmall bounds what is read of a file of start.sh: the job could have written to it.
const mostSmall = 64 << 10

// small reads a file that start.sh has written; it is empty when there is none.
func (e *engine) small(ctx context.Context, container, path string) (string, error) {
	if _, err := e.size(ctx, container, path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return "", err
	}
	content, _, err := e.file(ctx, container, path)
	if err != nil {
		return "", err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, mostSmall))
	return string(text), err
}
