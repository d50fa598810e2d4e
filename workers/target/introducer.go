package target

import "context"

// Introducer is a driver whose targets prove who they are by something that a person
// must have seen once, such as the key of a host. Until it was confirmed, every other
// method refuses such a target, and says so. The law of Driver holds for every method.
type Introducer interface {
	Driver
	// Introduce asks t who it is, and returns what nobody has confirmed yet, always in
	// the same order; none when there is nothing to confirm. It trusts nothing and
	// changes nothing. Something else than what was confirmed before is an error.
	Introduce(ctx context.Context, t Target) ([]Introduction, error)
	// Confirm records that a person knows all of these to be right, and keeps what was
	// confirmed before. What is recorded already stays as it is.
	Confirm(ctx context.Context, t Target, all []Introduction) error
}

// Introduction is one thing for a person to compare.
type Introduction struct {
	Of     string `json:"of"`     // whose it is: "gpu1.lan:22"
	What   string `json:"what"`   // what it is: "ssh-ed25519 host key"
	Mark   string `json:"mark"`   // what a person compares, without spaces: "SHA256:…"
	Advice string `json:"advice"` // how to learn the right one in another way
	Proof  []byte `json:"-"`      // what Confirm records; it means nothing to anyone else
}
