package cluster

import "context"

// provider makes nodes and takes them back. Names of nodes are never used twice. The law
// of target.Driver holds for every method: a call may come again, from another process.
type provider interface {
	// list returns the names of the nodes that are there now. A node that was made and is
	// not listed yet is on its way; one that was listed once and is not any more is gone.
	list(ctx context.Context, p place) ([]string, error)
	// make asks for a node and returns at once.
	make(ctx context.Context, p place, node string) error
	// remove gives a node back, also one that is on its way. One that does not exist is
	// not an error.
	remove(ctx context.Context, p place, node string) error
	// wanted says why nodes are wanted back from a cluster of low priority; empty: they
	// are not. held tells that they were wanted back when it was last asked.
	wanted(held bool) string
	// coming tells people what nodes that are on their way wait for; empty: nothing.
	coming(p place) string
}
