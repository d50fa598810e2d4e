package blob

import (
	"io/fs"
	"os"
	"sync"
)

// verified are the files whose content this process has read to its end and found to
// be what their name says, as they were then. The code of a pipeline is read for each
// of its stages: from the second time on, the system copies it without us in between.
var verified = remembered{files: map[string]fs.FileInfo{}}

// maxVerified is how many files are remembered; after that it begins anew.
const maxVerified = 10_000

type remembered struct {
	mu    sync.Mutex
	files map[string]fs.FileInfo // by path
}

// is reports whether the file at path is the one that was read, unchanged since.
func (r *remembered) is(path string, f *os.File) bool {
	r.mu.Lock()
	was := r.files[path]
	r.mu.Unlock()
	if was == nil {
		return false
	}
	now, err := f.Stat()
	return err == nil && os.SameFile(was, now) && now.Size() == was.Size() && now.ModTime().Equal(was.ModTime())
}

// keep remembers a file as it was when its reading began.
func (r *remembered) keep(path string, was fs.FileInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.files) >= maxVerified {
		clear(r.files)
	}
	r.files[path] = was
}
