package remote

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// need is a content that the machine must have, and what for.
type need struct {
	ref  target.Ref
	name string // in store or trees
	what string // for people: input "data"
}

// empty is the content of a file with nothing in it. It is never linked: a file system
// bounds how many names one file may have, and this one has many.
const empty target.Ref = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// storeName is the name of the content of a file.
func storeName(ref target.Ref, exec bool) string {
	if exec {
		return ref.Hex() + ".x"
	}
	return ref.Hex()
}

// deliver sees that the machine has the contents, and sends it only what it lacks.
func (m *Machine) deliver(ctx context.Context, needs []need, in target.Blobs) error {
	if len(needs) == 0 {
		return nil
	}
	if err := m.delivery.enter(ctx); err != nil {
		return err
	}
	defer m.delivery.leave()
	lacking, err := m.lacking(ctx, needs)
	if err != nil || len(lacking) == 0 {
		return err
	}
	var trees, files []need
	lists := map[string][]target.Entry{}
	for _, n := range lacking {
		if !n.ref.IsTree() {
			files = append(files, n)
			continue
		}
		list, err := target.ListTree(ctx, in, n.ref)
		if err != nil {
			return fmt.Errorf("%s: %w", n.what, err)
		}
		trees, lists[n.name] = append(trees, n), list
		for _, e := range list {
			if e.Ref != "" && e.Ref != empty {
				files = append(files, need{e.Ref, storeName(e.Ref, e.Exec), n.what})
			}
		}
	}
	if err := m.send(ctx, files, in); err != nil {
		return err
	}
	for _, n := range trees {
		if err := m.plant(ctx, n, lists[n.name]); err != nil {
			return fmt.Errorf("%s: %w", n.what, err)
		}
	}
	return nil
}

// lacking returns those of the contents that the machine does not have, each once.
func (m *Machine) lacking(ctx context.Context, needs []need) ([]need, error) {
	byName := map[string]need{}
	var names []string
	for _, n := range needs {
		if _, ok := byName[n.name]; !ok {
			byName[n.name] = n
			names = append(names, n.name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	text, err := m.ask(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(names, "\n")+"\n")
		return err
	}, "have")
	if err != nil {
		return nil, fmt.Errorf("ask which contents are there: %w", err)
	}
	var out []need
	for _, name := range strings.Fields(text) {
		if n, ok := byName[name]; ok {
			out = append(out, n)
		}
	}
	return out, nil
}

// Contents up to small travel together, as many as make a bundle, so that a cut
// connection costs no more than that. Larger ones travel alone, and are never held in
// memory.
const (
	small       = 1 << 20
	bundleBytes = 32 << 20
	bundleFiles = 2000
)

// send sends the contents that the machine lacks.
func (m *Machine) send(ctx context.Context, files []need, in target.Blobs) error {
	rest, err := m.lacking(ctx, files)
	if err != nil {
		return err
	}
	var large []need
	for len(rest) > 0 {
		var done int
		var big []need
		err := m.call(ctx, func(w io.Writer) (err error) {
			done, big, err = bundle(ctx, w, rest, in)
			return err
		}, nil, "put")
		if err != nil {
			return fmt.Errorf("send contents: %w", err)
		}
		rest, large = rest[done:], append(large, big...)
	}
	for _, n := range large {
		err := m.call(ctx, func(w io.Writer) error {
			r, err := in.Open(ctx, n.ref)
			if err != nil {
				return fmt.Errorf("%s: %w", n.what, err)
			}
			defer r.Close()
			_, err = io.Copy(w, r)
			return err
		}, nil, "receive", n.name)
		if err != nil {
			return fmt.Errorf("send %s: %w", n.what, err)
		}
	}
	return nil
}

// bundle writes a tar with the first of the contents, and returns how many it has
// dealt with and which of these are too large for it.
func bundle(ctx context.Context, w io.Writer, files []need, in target.Blobs) (done int, large []need, err error) {
	t := tar.NewWriter(w)
	total := 0
	for _, n := range files {
		if done >= bundleFiles || total >= bundleBytes {
			break
		}
		text, whole, err := begin(ctx, in, n.ref)
		if err != nil {
			return done, large, fmt.Errorf("%s: %w", n.what, err)
		}
		done++
		if !whole {
			large = append(large, n)
			continue
		}
		total += len(text)
		if err := addFile(t, n.name, strings.HasSuffix(n.name, ".x"), text); err != nil {
			return done, large, err
		}
	}
	return done, large, t.Close()
}

// begin reads a content up to the size of a small one, and tells whether that is all.
func begin(ctx context.Context, in target.Blobs, ref target.Ref) (text []byte, whole bool, err error) {
	r, err := in.Open(ctx, ref)
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	text, err = io.ReadAll(io.LimitReader(r, small+1))
	return text, len(text) <= small, err
}

func addFile(t *tar.Writer, name string, exec bool, text []byte) error {
	mode := int64(0o644)
	if exec {
		mode = 0o755
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(text)), Format: tar.FormatGNU}); err != nil {
		return err
	}
	_, err := t.Write(text)
	return err
}

// plant makes a folder of contents that the machine has.
func (m *Machine) plant(ctx context.Context, n need, list []target.Entry) error {
	for _, e := range list {
		if !filepath.IsLocal(filepath.FromSlash(e.Path)) || strings.IndexByte(e.Path, 0) >= 0 || e.Ref != "" && !e.Ref.Valid() {
			return fmt.Errorf("%q of %s: the path leaves the folder: %w", e.Path, n.ref, target.ErrPermanent)
		}
	}
	at := token()
	return m.call(ctx, func(w io.Writer) error {
		t := tar.NewWriter(w)
		root := "store/tmp." + at
		for _, e := range list {
			if err := addEntry(t, path.Join(root, "tree", e.Path), e); err != nil {
				return fmt.Errorf("%q: %w", e.Path, err)
			}
		}
		// The last one tells that the list was not cut off.
		return errors.Join(addFile(t, root+"/whole", false, nil), t.Close())
	}, nil, "plant", n.ref.Hex(), at)
}

func addEntry(t *tar.Writer, name string, e target.Entry) error {
	switch e.Ref {
	case "":
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, Format: tar.FormatGNU})
	case empty:
		return addFile(t, name, e.Exec, nil)
	}
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: "store/" + storeName(e.Ref, e.Exec), Mode: 0o644, Format: tar.FormatGNU})
}
