package remote

import (
	"bytes"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// stream is the answer to read: a line that says what is there, and its bytes; or, of a log
// that is too long, its parts, each behind a line of its own, see tool/log.sh.
type stream struct {
	to     io.Writer
	line   []byte
	kind   string
	size   int64
	most   int64 // how much of a log is kept
	copied int64 // by how much the offset moves
	rest   int64 // of a part
}

func (s *stream) Write(p []byte) (int, error) {
	for left := p; len(left) > 0; {
		n, err := s.take(left)
		if err != nil {
			return 0, err
		}
		left = left[n:]
	}
	return len(p), nil
}

// take takes a line, or bytes, from the beginning of p, and tells how many bytes it took.
func (s *stream) take(p []byte) (int, error) {
	if s.kind == "" || s.kind == "parts" && s.rest == 0 {
		head, _, whole := bytes.Cut(p, []byte("\n"))
		s.line = append(s.line, head...)
		if !whole {
			return len(head), nil
		}
		err := s.head(string(s.line))
		s.line = s.line[:0]
		return len(head) + 1, err
	}
	if s.kind == "parts" {
		p = p[:min(int64(len(p)), s.rest)]
		s.rest -= int64(len(p))
	}
	k, err := s.to.Write(p)
	s.copied += int64(k)
	return len(p), err
}

// head reads a line.
func (s *stream) head(line string) error {
	var n int64
	if s.kind == "" {
		if _, err := fmt.Sscanf(line, "%s %d", &s.kind, &s.size); err != nil {
			return fmt.Errorf("the host answered %.100q: %w", line, err)
		}
		if _, err := fmt.Sscanf(line, "parts %d %d", &s.size, &s.most); err != nil && s.kind == "parts" {
			return fmt.Errorf("the host answered %.100q: %w", line, err)
		}
		return nil
	}
	if _, err := fmt.Sscanf(line, "here %d", &s.rest); err == nil && s.rest > 0 {
		return nil
	}
	if _, err := fmt.Sscanf(line, "gone %d", &n); err != nil || n <= 0 {
		return fmt.Errorf("the host answered %.100q in the middle of a log", line)
	}
	s.copied += n
	_, err := fmt.Fprintf(s.to, "\n[%d bytes are left out here: a log is kept up to %s, which `log` of the target sets]\n", n, jobdir.FormatBytes(s.most))
	return err
}
