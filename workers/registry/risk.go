package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// Risk is a file that runs code when it is loaded as it is meant to be.
type Risk struct {
	File string `json:"file,omitempty"` // in the model's folder; empty when the model is one file
	Why  string `json:"why"`            // what it is
}

// risky are names of formats that are pickles, or hold one.
var risky = map[string]string{
	".pkl": "a pickle", ".pickle": "a pickle", ".p": "a pickle", ".dill": "a pickle", ".cloudpickle": "a pickle", ".joblib": "a pickle of joblib",
	".pt": "a pickle of torch", ".pth": "a pickle of torch", ".ckpt": "a pickle of torch",
}

// maxRisks is how many files are told apart; a folder with more is risky enough.
const maxRisks = 10

// Risks finds the files of an artifact that run code when they are loaded: by their name,
// or because they begin as a pickle does. It opens none further than its first bytes.
func Risks(ctx context.Context, b target.Blobs, ref target.Ref) ([]Risk, error) {
	entries := []target.Entry{{Ref: ref}}
	if ref.IsTree() {
		var err error
		if entries, err = target.ListTree(ctx, b, ref); err != nil {
			return nil, err
		}
	}
	var out []Risk
	for _, e := range entries {
		if e.Ref == "" {
			continue
		}
		why := risky[strings.ToLower(path.Ext(e.Path))]
		if why == "" {
			head, err := beginning(ctx, b, e.Ref)
			if err != nil {
				return nil, err
			}
			if isPickle(head) {
				why = "a pickle"
			}
		}
		if why != "" {
			if out = append(out, Risk{e.Path, why}); len(out) == maxRisks {
				break
			}
		}
	}
	return out, nil
}

// headBytes is as far as a file is looked at.
const headBytes = 128

func beginning(ctx context.Context, b target.Blobs, ref target.Ref) ([]byte, error) {
	r, err := b.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// isPickle knows protocols 2 to 5, which begin with PROTO and its number and go on with
// an opcode, and an archive of torch by its first member. Source: pickletools of Python.
func isPickle(head []byte) bool {
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return bytes.Contains(head, []byte("/data.pkl"))
	}
	if len(head) < 3 || head[0] != 0x80 || head[1] < 2 || head[1] > 5 {
		return false
	}
	return bytes.IndexByte([]byte("\x95}])(cXUKJMGN\x88\x89\x8c\x8e\x8d\x8a\x8bBC"), head[2]) >= 0
}
