package commit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The bounds of what is written.
const (
	maxFiles = 500_000
	maxBytes = 8 << 30
)

// file is one entry of a commit.
type file struct {
	mode, digest, path string
}

// Write writes the files of a commit below dir, which exists. They are as they were
// committed: no filter has changed them. Submodules stay empty folders.
func (r *Repository) Write(ctx context.Context, commit, dir string) error {
	root, err := os.OpenRoot(dir) // nothing can be written outside of it, whatever the names are
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := r.list(ctx, commit)
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := unpack(root, files, reader)
		reader.CloseWithError(err)
		done <- err
	}()
	var asked bytes.Buffer
	for _, f := range files {
		asked.WriteString(f.digest + "\n")
	}
	err = git(ctx, r.Top, &asked, writer, "cat-file", "--batch")
	writer.CloseWithError(errors.Join(io.ErrUnexpectedEOF, err))
	if bad := <-done; bad != nil && !errors.Is(bad, io.ErrUnexpectedEOF) {
		return bad
	} else if err == nil {
		err = bad
	}
	return err
}

// list gives the files of a commit. It has no folders and no submodules.
func (r *Repository) list(ctx context.Context, commit string) ([]file, error) {
	var out bytes.Buffer
	if err := git(ctx, r.Top, nil, &out, "ls-tree", "-r", "-z", "--full-tree", commit); err != nil {
		return nil, err
	}
	var files []file
	for entry := range strings.SplitSeq(out.String(), "\x00") {
		head, path, ok := strings.Cut(entry, "\t")
		words := strings.Fields(head) // mode, type, digest
		if !ok || len(words) != 3 || words[1] != "blob" {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(path)) {
			return nil, fmt.Errorf("the commit has a file %q, which is no name inside of a folder", path)
		}
		if files = append(files, file{words[0], words[2], path}); len(files) > maxFiles {
			return nil, fmt.Errorf("the commit has more than %d files", maxFiles)
		}
	}
	return files, nil
}

// unpack writes each file from what `git cat-file --batch` says about it: a line with
// its digest, type and size, its content, and a line end.
func unpack(root *os.Root, files []file, from io.Reader) error {
	in := bufio.NewReader(from)
	total := int64(0)
	for _, f := range files {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		if len(words) != 3 || words[1] != "blob" {
			return fmt.Errorf("the content of %q is not here: fetch it with git, and try again", f.path)
		}
		size, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return err
		}
		if total += size; total > maxBytes {
			return fmt.Errorf("the commit holds more than %d GiB", maxBytes>>30)
		}
		if err := f.write(root, io.LimitReader(in, size)); err != nil {
			return fmt.Errorf("%q of the commit cannot be written: %w", f.path, err)
		}
		if _, err := in.Discard(1); err != nil {
			return err
		}
	}
	return nil
}

func (f file) write(root *os.Root, content io.Reader) error {
	path := filepath.FromSlash(f.path)
	if dir := filepath.Dir(path); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if f.mode == "120000" {
		to, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		return root.Symlink(string(to), path)
	}
	mode := os.FileMode(0o600)
	if f.mode == "100755" {
		mode = 0o700
	}
	out, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, content)
	if limited, ok := content.(*io.LimitedReader); ok && err == nil && limited.N > 0 {
		err = fmt.Errorf("it ends after %d bytes: %w", n, io.ErrUnexpectedEOF)
	}
	return errors.Join(err, out.Close())
}
