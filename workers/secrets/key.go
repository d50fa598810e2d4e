package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// The variables that give another key than the state folder's: where a store was
// made on another computer, as in continuous integration.
const (
	KeyVar     = "AMLFLOW_SECRETS_KEY"      // the key itself
	KeyFileVar = "AMLFLOW_SECRETS_KEY_FILE" // a file that holds it
)

// KeyFile is the file of the state folder that holds its key.
func KeyFile(home string) string { return filepath.Join(home, "secrets.key") }

// given is the key of the variables, as text; "" when there is none.
func given(lookup func(string) (string, bool)) (string, error) {
	if text, _ := lookup(KeyVar); text != "" {
		return text, nil
	}
	path, _ := lookup(KeyFileVar)
	if path == "" {
		return "", nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	text, err := readPrivate(path)
	if err != nil {
		return "", fmt.Errorf("the key of $%s: %w", KeyFileVar, err)
	}
	return string(text), nil
}

// parse reads keys; it says where they are from, and never quotes them.
func parse(text, where string) ([]age.Identity, error) {
	ids, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s holds no key: a key is a line that begins with AGE-SECRET-KEY-1", where)
	}
	return ids, nil
}

// homeKey returns the key of the state folder, or none when there is none yet.
func homeKey(home string) ([]age.Identity, error) {
	text, err := readPrivate(KeyFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the key of secrets: %w", err)
	}
	return parse(string(text), fmt.Sprintf("%q", KeyFile(home)))
}

// madeKey is homeKey, and makes the key when there is none. Of two that make one
// at the same time the first wins.
func madeKey(home string) ([]age.Identity, error) {
	if ids, err := homeKey(home); err != nil || len(ids) > 0 {
		return ids, err
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("# The key to the secrets of amlflow. Whoever has it can read them.\n# public key: %s\n%s\n", id.Recipient(), id)
	if err := writeFirst(KeyFile(home), []byte(text)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keep the key of secrets: %w", err)
	}
	return homeKey(home)
}

// writeFirst writes a private file, and refuses with fs.ErrExist when there is one.
func writeFirst(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// storeKey is the key that a store is encrypted to.
func storeKey(home string) ([]age.Identity, error) {
	text, err := given(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	if text != "" {
		return parse(text, "$"+KeyVar+" or $"+KeyFileVar)
	}
	return madeKey(home)
}

// storeKeys are all that a store may be opened with: those of this process, and
// one that came along with the run.
func storeKeys(home, more string) ([]age.Identity, error) {
	text, err := given(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	ids, err := homeKey(home)
	for _, text := range []string{text, more} {
		if text == "" || err != nil {
			continue
		}
		var others []age.Identity
		others, err = parse(text, "$"+KeyVar+" or $"+KeyFileVar)
		ids = append(ids, others...)
	}
	return ids, err
}

// encrypt returns text as an age file in letters, to the first of keys.
func encrypt(text []byte, keys []age.Identity) ([]byte, error) {
	id, ok := keys[0].(*age.X25519Identity)
	if !ok {
		return nil, errors.New("the key of secrets is not an X25519 key")
	}
	var out bytes.Buffer
	letters := armor.NewWriter(&out)
	w, err := age.Encrypt(letters, id.Recipient())
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	err = errors.Join(err, w.Close(), letters.Close())
	return out.Bytes(), err
}

var (
	// errNoKey says that a file is encrypted to a key that is not here.
	errNoKey = errors.New("no key here opens it")
	// errDamaged says no more, because the words of decoders quote what they read.
	errDamaged = errors.New("it is damaged: take it from a copy, or remove it and set its secrets again")
)

func decrypt(text []byte, keys []age.Identity) ([]byte, error) {
	if len(keys) == 0 {
		return nil, errNoKey
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text)), keys...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, errDamaged
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, errDamaged
	}
	return out, nil
}
