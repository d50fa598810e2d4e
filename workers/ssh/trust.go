package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// trust decides which keys of hosts are good.
type trust struct {
	check   ssh.HostKeyCallback
	files   []string
	damaged []string // lines that could not be read, as FILE:LINE
}

// newTrust reads files of known hosts. One that does not exist knows none. A line that
// cannot be read is passed over, and does not make the others useless.
func newTrust(files []string) (*trust, error) {
	t := &trust{files: files}
	kept, err := os.MkdirTemp("", "amlflow-known-hosts-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(kept)
	var readable []string
	for i, path := range files {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the keys of known hosts: %w", err)
		}
		clean := fmt.Sprintf("%s/%d", kept, i)
		if err := os.WriteFile(clean, t.sift(path, text, kept+"/line"), 0o600); err != nil {
			return nil, err
		}
		readable = append(readable, clean)
	}
	t.check, err = knownhosts.New(readable...)
	return t, err
}

// sift returns the lines of text that can be read. scratch is a file to try one in.
func (t *trust) sift(path string, text []byte, scratch string) []byte {
	if os.WriteFile(scratch, text, 0o600) == nil {
		if _, err := knownhosts.New(scratch); err == nil {
			return text
		}
	}
	var good []byte
	for n, line := range bytes.Split(text, []byte("\n")) {
		err := os.WriteFile(scratch, line, 0o600)
		if err == nil {
			_, err = knownhosts.New(scratch)
		}
		if err != nil {
			t.damaged = append(t.damaged, fmt.Sprintf("%s:%d", path, n+1))
			continue
		}
		good = append(append(good, line...), '\n')
	}
	return good
}

// algorithms are those for which a key of the host at address is known, or nil. Without
// them a host that has several keys might show one that is not in the file.
func (t *trust) algorithms(address string) []string {
	nobody, err := ssh.NewPublicKey(nobodysKey)
	if err != nil {
		return nil
	}
	var unknown *knownhosts.KeyError
	if !errors.As(t.check(address, anywhere, nobody), &unknown) {
		return nil
	}
	var out []string
	for _, known := range unknown.Want {
		switch kind := known.Key.Type(); kind {
		case ssh.KeyAlgoRSA:
			out = append(out, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			out = append(out, kind)
		}
	}
	return out
}

// nobodysKey is a key that no host has.
var nobodysKey = make(edKey, 32)

// anywhere stands for the address of a connection that is not there yet.
var anywhere = &net.TCPAddr{IP: net.IPv4zero}

// callback is the check of one connection. What it refuses goes to *refused, too: the
// library wraps errors in words only.
func (t *trust) callback(refused *error) ssh.HostKeyCallback {
	return func(address string, from net.Addr, key ssh.PublicKey) error {
		*refused = t.explain(address, key, t.check(address, from, key))
		return *refused
	}
}

// explain says what to do about a key that is not trusted.
func (t *trust) explain(address string, key ssh.PublicKey, err error) error {
	if err == nil {
		return nil
	}
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	var unknown *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	name := knownhosts.Normalize(address)
	switch {
	case errors.As(err, &unknown) && len(unknown.Want) == 0:
		line := knownhosts.Line([]string{name}, key)
		text := fmt.Sprintf("the host key of %q is not known: it shows %s. Compare that with what `ssh-keygen -lf` says of the key files in /etc/ssh on the host; if it is the same, confirm it with `amlflow target add NAME --trust %s`, or add this line to %q: %s",
			address, shown, ssh.FingerprintSHA256(key), t.files[0], line)
		if len(t.damaged) > 0 {
			text += fmt.Sprintf(" (what could not be read: %s)", strings.Join(t.damaged, ", "))
		}
		return unknownKey{fmt.Errorf("%s: %w", text, target.ErrPermanent), introduction(address, key, t.files[0], line)}
	case errors.As(err, &unknown):
		var known []string
		for _, k := range unknown.Want {
			known = append(known, k.Key.Type()+" "+ssh.FingerprintSHA256(k.Key))
		}
		return wrongKey{fmt.Errorf("the host key of %q is another one than before: it shows %s, and known is %s. Somebody may be listening in. If the host was set up anew, remove its old line: `ssh-keygen -R %s -f %s`: %w",
			address, shown, strings.Join(known, ", "), name, t.files[0], target.ErrPermanent)}
	case errors.As(err, &revoked):
		return wrongKey{fmt.Errorf("the host key of %q is revoked: %s: %w", address, shown, target.ErrPermanent)}
	}
	return fmt.Errorf("the host key of %q (%s): %w: %w", address, shown, err, target.ErrPermanent)
}
