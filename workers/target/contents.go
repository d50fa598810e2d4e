package target

import "context"

// Contents lists what is stored for ref: for a folder the list of its files and the
// content of each, by the name that it has in the store, for a file only that.
func Contents(ctx context.Context, b Blobs, ref Ref) ([]Ref, error) {
	all := []Ref{ref.Blob()}
	if !ref.IsTree() {
		return all, nil
	}
	files, err := ListTree(ctx, b, ref)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.Ref.Valid() {
			all = append(all, f.Ref.Blob())
		}
	}
	return all, nil
}
