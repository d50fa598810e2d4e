package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
)

// Gathering asks for one folder that holds several artifacts.
type Gathering struct {
	Store string `json:"store"`
	List  string `json:"list"` // a JSON list of names of artifacts; null leaves its place empty
}

// Gather makes a folder whose entries are the artifacts of a list, each under its
// number: 00000, 00001 and so on. Nothing is copied, since contents have names.
func (a *Activities) Gather(ctx context.Context, g Gathering) (target.Ref, error) {
	var refs []target.Ref
	if err := json.Unmarshal([]byte(g.List), &refs); err != nil {
		return "", temporal.NewNonRetryableApplicationError(fmt.Sprintf("%.60q is not a list of artifacts", g.List), "not-artifacts", err)
	}
	blobs, err := a.Store(g.Store)
	if err != nil {
		return "", err
	}
	var ref target.Ref
	err = beating(ctx, func(ctx context.Context) (err error) { ref, err = Join(ctx, blobs, refs); return err })
	if errors.Is(err, target.ErrPermanent) {
		return "", temporal.NewNonRetryableApplicationError(words(err), "not-artifacts", err)
	}
	return ref, err
}

// Join names the folder whose entries are the artifacts of a list, each under its
// number; an empty name leaves its place empty.
func Join(ctx context.Context, blobs target.Blobs, refs []target.Ref) (target.Ref, error) {
	parts := make([]target.Part, 0, len(refs))
	for i, ref := range refs {
		switch {
		case ref == "":
		case !ref.Valid():
			return "", fmt.Errorf("item %d is %.60q, which is not the name of an artifact: %w", i, ref, target.ErrPermanent)
		default:
			parts = append(parts, target.Part{Name: fmt.Sprintf("%05d", i), Ref: ref})
		}
	}
	return target.JoinTree(ctx, blobs, parts)
}
