// Package mask hides secrets in what jobs write, as it goes by.
//
// Every form of a secret is looked for: as it is, in base64 wherever it begins
// in what was encoded, in hexadecimal, in a URL, in JSON, in shell quotes, and
// each line of it alone; see forms.go. Each byte of a form becomes a '*'.
//
// The law: masking never moves a byte, and which bytes are masked depends
// neither on how the text came in pieces nor on where reading began. So an
// offset means the same in the file of a running job, in what a person was
// shown of it, and in the copy that is kept; a reader may change from one to the
// other in the middle of a line. The price is that a mask tells how long the
// secret is. There is no other kind of mask, so that nobody can choose the wrong
// one.
//
// A form that a tool has wrapped into lines (base64 does at 76 columns) is found,
// too: line breaks inside a form are passed over, and stay. For the sake of who
// watches a job there is one exception to the law: a Window shows a complete line
// at once, though its last characters, three at most, might turn out to be the
// beginning of a form that goes on in the next line.
package mask

import "io"

// Before is how much of the text in front of a byte may decide whether that byte
// is masked: whoever begins to read in the middle begins this much earlier.
const Before = longest * (1 + mostBreaks)

// Masker hides the secrets it was made with. It may be used by many at once. A
// nil Masker hides nothing.
type Masker struct{ a *automaton }

// New returns a Masker for secrets, or nil when there is nothing to hide.
// Secrets of nothing but white space are not hidden: no text could be read.
func New(secrets []string) *Masker {
	a := &automaton{nodes: make([]node, 1)}
	for _, s := range secrets {
		for form := range forms(s) {
			a.add(form)
		}
	}
	if len(a.nodes) == 1 {
		return nil
	}
	a.link()
	return &Masker{a}
}

// String returns s with every form masked.
func (m *Masker) String(s string) string {
	if m == nil {
		return s
	}
	c := scanner{a: m.a}
	c.feed([]byte(s))
	return string(c.rest())
}

// Writer masks what is written to it. It keeps back the end of the text as long
// as that may be the beginning of a form: at most a few kilobytes.
type Writer struct {
	w io.Writer
	c *scanner
}

// Writer returns a Writer that passes on to w. Close ends the text.
func (m *Masker) Writer(w io.Writer) *Writer {
	if m == nil {
		return &Writer{w: w}
	}
	return &Writer{w: w, c: &scanner{a: m.a}}
}

// portion bounds what is looked at before the first of it is passed on.
const portion = 32 << 10

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if w.c == nil {
		return w.w.Write(p)
	}
	for done := 0; done < len(p); {
		part := p[done:min(done+portion, len(p))]
		w.c.feed(part)
		if err := w.pass(w.c.ready()); err != nil {
			return done, err
		}
		done += len(part)
	}
	return len(p), nil
}

// Held is how many bytes are kept back.
func (w *Writer) Held() int {
	if w.c == nil {
		return 0
	}
	return len(w.c.held)
}

// Close passes on what was kept back: nothing more comes, so it is no form. It
// does not close the writer behind.
func (w *Writer) Close() error {
	if w.c == nil {
		return nil
	}
	return w.pass(w.c.rest())
}

func (w *Writer) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := w.w.Write(p)
	return err
}

// Reader returns what r gives, masked.
func (m *Masker) Reader(r io.Reader) io.Reader {
	if m == nil {
		return r
	}
	return &reader{r: r, c: scanner{a: m.a}, buf: make([]byte, portion)}
}

type reader struct {
	r   io.Reader
	c   scanner
	buf []byte
	out []byte
	err error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil {
		var n int
		n, r.err = r.r.Read(r.buf)
		r.c.feed(r.buf[:n])
		r.out = r.c.ready()
		if r.err != nil && len(r.out) == 0 {
			r.out = r.c.rest()
		}
	}
	if len(r.out) == 0 && len(r.c.held) > 0 { // the source has ended
		r.out = r.c.rest()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// Window copies what a growing text has from byte offset on to w, masked, and
// returns the offset reached. read copies the text itself from an offset on, and
// returns the offset reached, which is smaller when the text was cut, and larger than
// the bytes it copied when some are left out. Unless the
// text has ended, its last bytes are left for later when they may be the
// beginning of a form, and are not just the end of a line.
func (m *Masker) Window(w io.Writer, offset int64, ended bool, read func(from int64, w io.Writer) (int64, error)) (int64, error) {
	from := max(0, offset-Before)
	if m == nil {
		from = offset
	}
	late := &after{w: w, skip: offset - from}
	masked := m.Writer(late)
	given := &counter{w: masked}
	reached, err := read(from, given)
	if err == nil && reached < offset {
		return reached, nil
	}
	if err == nil && (ended || masked.c != nil && masked.c.lineIsComplete()) {
		err = masked.Close()
	}
	return max(offset, reached-(given.n-late.passed)), err // without what is left for later
}

// counter counts what passes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// after passes on all but the first skip bytes.
type after struct {
	w            io.Writer
	skip, passed int64 // passed counts those that were skipped, too
}

func (a *after) Write(p []byte) (int, error) {
	passed := min(a.skip, int64(len(p)))
	a.skip -= passed
	a.passed += passed
	if passed == int64(len(p)) {
		return len(p), nil
	}
	n, err := a.w.Write(p[passed:])
	a.passed += int64(n)
	return int(passed) + n, err
}
