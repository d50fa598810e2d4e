package secrets

import (
	"context"
	"fmt"
	"os"

	"github.com/amlflow/amlflow/workers/target"
)

// Setting says in the settings of a target where a secret is kept that opens it. Exactly
// one is set.
type Setting struct {
	Env  string `json:"env,omitempty"` // a variable of the command that started the background server
	File string `json:"file,omitempty"`
}

// Fetch returns the value of the secret, at the last moment. What says which one it is, in
// errors, which never have the value.
func (s Setting) Fetch(ctx context.Context, what string) (string, error) {
	if s.Env != "" {
		if value := os.Getenv(s.Env); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("the %s is to be in the variable %q, and the background server was started without it: set it, and run `amlflow server stop`: %w", what, s.Env, target.ErrPermanent)
	}
	values, err := Resolve(ctx, "", "", []Ref{{Var: what, Name: what, File: s.File}})
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	return values[what], nil
}
