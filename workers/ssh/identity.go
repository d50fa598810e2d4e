package ssh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

type edKey = ed25519.PublicKey

// usualKeys are tried where nobody names one.
var usualKeys = []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}

// identity is how somebody proves who he is; close gives back the agent.
type identity struct {
	methods []ssh.AuthMethod
	agent   net.Conn
	tried   []string // for people
}

func (i *identity) close() {
	if i.agent != nil {
		i.agent.Close()
	}
}

// identify gathers what there is to log in to h with.
func (r route) identify(ctx context.Context, h hop) (*identity, error) {
	id := &identity{}
	keys, err := r.keys(ctx, h, id)
	if err != nil {
		id.close()
		return nil, err
	}
	if len(keys) > 0 {
		id.methods = append(id.methods, ssh.PublicKeys(keys...))
	}
	if r.Password != nil {
		word, err := r.Password.Fetch(ctx, "password")
		if err != nil {
			id.close()
			return nil, err
		}
		id.tried = append(id.tried, "a password")
		id.methods = append(id.methods, ssh.Password(word), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range answers {
					answers[i] = word
				}
				return answers, nil
			}))
	}
	if len(id.methods) == 0 {
		return nil, fmt.Errorf("there is nothing to log in with: no agent (SSH_AUTH_SOCK) and no key in ~/.ssh: set `identity_file` or `password` of the target: %w", target.ErrPermanent)
	}
	return id, nil
}

// keys are the private keys to try, the most likely ones first.
func (r route) keys(ctx context.Context, h hop, id *identity) ([]ssh.Signer, error) {
	var keys []ssh.Signer
	for _, path := range h.Identities {
		k, err := r.key1(ctx, path)
		if errors.Is(err, fs.ErrNotExist) && !h.Explicit {
			continue // ~/.ssh/config may name keys that are not there
		}
		if err != nil {
			return nil, err
		}
		keys, id.tried = append(keys, k), append(id.tried, path)
	}
	if h.Explicit {
		return keys, nil
	}
	if socket := os.Getenv("SSH_AUTH_SOCK"); socket != "" {
		if conn, err := net.Dial("unix", socket); err == nil {
			id.agent = conn
			if more, err := agent.NewClient(conn).Signers(); err == nil {
				keys, id.tried = append(keys, more...), append(id.tried, fmt.Sprintf("%d keys of the agent", len(more)))
			}
		}
	}
	if len(h.Identities) > 0 {
		return keys, nil
	}
	for _, name := range usualKeys {
		path, err := expand(name)
		if err != nil {
			continue
		}
		// One with a passphrase is the agent's business.
		if k, err := r.key1(ctx, path); err == nil {
			keys, id.tried = append(keys, k), append(id.tried, path)
		}
	}
	return keys, nil
}

// key1 reads one private key.
func (r route) key1(ctx context.Context, path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w: %w", err, target.ErrPermanent)
	}
	key, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked) && r.Passphrase == nil:
		return nil, fmt.Errorf("the private key %q has a passphrase: say where it is kept as `passphrase` of the target, or use an agent: %w", path, target.ErrPermanent)
	case errors.As(err, &locked):
		word, err := r.Passphrase.Fetch(ctx, "passphrase")
		if err != nil {
			return nil, err
		}
		if key, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(word)); err != nil {
			return nil, fmt.Errorf("the private key %q cannot be opened: %w: is the passphrase right?: %w", path, err, target.ErrPermanent)
		}
		return key, nil
	case err != nil:
		return nil, fmt.Errorf("the private key %q cannot be read: %w: %w", path, err, target.ErrPermanent)
	}
	return key, nil
}
