package main

import (
	"bufio"
	"bytes"
	"io"
)

// maxLine is the length in bytes from which a line is printed in pieces.
const maxLine = 1 << 20

// lines hands on what is written to it by whole lines, each behind a prefix. Of
// what was written it holds only the line that is not whole yet, so that neither
// a large log nor a long line costs memory: a line longer than maxLine is handed
// on in pieces, each as a line of its own.
type lines struct {
	prefix string
	out    *bufio.Writer
	tail   int      // only so many, the last ones; below 0: all
	kept   [][]byte // the last ones so far
	rest   []byte   // the beginning of a line
}

func newLines(out io.Writer, tail int) *lines {
	return &lines{out: bufio.NewWriterSize(out, 64<<10), tail: tail}
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(l.rest) == maxLine && p[0] != '\n' {
			if err := l.whole(nil); err != nil {
				return 0, err
			}
		}
		room := maxLine - len(l.rest)
		if end := bytes.IndexByte(p[:min(len(p), room+1)], '\n'); end >= 0 {
			if err := l.whole(p[:end]); err != nil {
				return 0, err
			}
			p = p[end+1:]
			continue
		}
		piece := p[:min(len(p), room)]
		l.rest = append(l.rest, piece...)
		p = p[len(piece):]
	}
	return n, nil
}

// whole hands on a line that ends with more.
func (l *lines) whole(more []byte) error {
	line := more
	if len(l.rest) > 0 {
		line = append(l.rest, more...)
		l.rest = l.rest[:0]
	}
	if l.tail < 0 {
		return l.print(line)
	}
	if l.kept = append(l.kept, bytes.Clone(line)); len(l.kept) > l.tail {
		l.kept = l.kept[1:]
	}
	return nil
}

func (l *lines) print(line []byte) error {
	_, _ = l.out.WriteString(l.prefix)
	_, _ = l.out.Write(line)
	return l.out.WriteByte('\n') // a writer that failed once fails for ever
}

// flush prints what is due: with last also a line that nothing will end any more.
func (l *lines) flush(last bool) error {
	if last && len(l.rest) > 0 {
		if err := l.whole(nil); err != nil {
			return err
		}
	}
	for _, line := range l.kept {
		if err := l.print(line); err != nil {
			return err
		}
	}
	l.kept = nil
	return l.out.Flush()
}
