package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// keysDir holds NAME.json for each endpoint that asks for a key: readable by the owner
// of the state folder alone, and removed with the endpoint.
const keysDir = "keys"

// keys are the two that an endpoint accepts.
type keys [2]string

// Keys returns the two keys of an endpoint. See target.Router.
func (f Folder) Keys(ctx context.Context, on, name string, rotate int) ([2]string, error) {
	if !validName(name) || rotate < 0 || rotate > 2 {
		return keys{}, fmt.Errorf("endpoint %.80q has the keys 1 and 2, and no %d: %w", name, rotate, target.ErrPermanent)
	}
	var k keys
	var rev int64
	err := f.locked(ctx, wishesLock, func() (err error) {
		k, rev, err = f.rotate(on, name, rotate)
		return err
	})
	if err == nil && rotate > 0 {
		err = f.confirm(ctx, name, rev)
	}
	if err != nil {
		return keys{}, fmt.Errorf("keys of endpoint %q: %w", name, err)
	}
	return k, nil
}

func (f Folder) rotate(on, name string, which int) (keys, int64, error) {
	h, r, err := f.records(name)
	if err != nil {
		return keys{}, 0, err
	}
	if !slices.ContainsFunc(h, func(d deployment) bool { return !d.retired && d.Target == on && d.Access == target.Keyed }) {
		return keys{}, 0, fmt.Errorf("no version of it on target %q asks for a key; write `auth: key` in its `deploy`, and deploy it again: %w", on, target.ErrPermanent)
	}
	k, err := f.makeKeys(name)
	if err != nil || which == 0 {
		return k, r.Rev, err
	}
	k[which-1] = newKey()
	if err := writeDurable(f.path(keysDir), name+".json", k); err != nil {
		return k, 0, err
	}
	r.note(target.Change{What: "keys", Why: fmt.Sprintf("key %d was replaced", which)})
	err = f.writeRouting(name, &r)
	return k, r.Rev, err
}

// makeKeys returns the keys of an endpoint, and makes them when there are none. The
// caller holds the lock of the wishes.
func (f Folder) makeKeys(name string) (keys, error) {
	k, err := f.readKeys(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k = keys{newKey(), newKey()}
	if err := errors.Join(os.MkdirAll(f.path(keysDir), 0o700), syncPath(f.Dir)); err != nil {
		return k, err
	}
	return k, writeDurable(f.path(keysDir), name+".json", k)
}

func (f Folder) readKeys(name string) (k keys, err error) {
	err = readJSON(f.path(keysDir), name+".json", &k)
	return k, err
}

// removeKeys makes the keys of an endpoint worthless.
func (f Folder) removeKeys(name string) error {
	return ignoreMissing(os.Remove(f.path(keysDir, name+".json")))
}

// newKey returns 256 random bits as text that needs no quotes anywhere.
func newKey() string {
	bits := make([]byte, 32)
	_, _ = rand.Read(bits) // never fails, see there
	return base64.RawURLEncoding.EncodeToString(bits)
}

// open reports whether the value of an Authorization header holds one of the keys. How
// long it takes says nothing about them.
func (k keys) open(header string) bool {
	scheme, given, _ := strings.Cut(header, " ")
	given = strings.TrimSpace(given)
	ok := 0
	for _, key := range k {
		if key != "" { // no keys open nothing
			ok |= subtle.ConstantTimeCompare([]byte(given), []byte(key))
		}
	}
	return ok == 1 && strings.EqualFold(scheme, "Bearer")
}
