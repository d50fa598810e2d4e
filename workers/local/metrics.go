package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// metrics reads what a rank has reported. Of very much it is the whole lines at the end,
// where what counts is, and all of it is stored: a job that has trained for hours must not
// fail for what it has to say.
func metrics(ctx context.Context, path string, most int64, out target.Blobs) (end []byte, all target.Ref, err error) {
	file, info, err := jobdir.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", permanent(err)
	}
	defer file.Close()
	if info.Size() <= most {
		end, err = io.ReadAll(io.LimitReader(file, most))
		return end, "", err
	}
	end, err = io.ReadAll(io.NewSectionReader(file, info.Size()-most, most))
	if err != nil {
		return nil, "", err
	}
	_, end, _ = bytes.Cut(end, []byte{'\n'})
	all, err = target.PutLog(ctx, out, file) // like a log, it may quote secrets
	return end, all, err
}

// maxMetrics is ranks.MaxMetrics, less in tests.
var maxMetrics int64 = ranks.MaxMetrics
