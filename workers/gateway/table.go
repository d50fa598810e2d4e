package gateway

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"sync"

	"github.com/amlflow/amlflow/workers/target"
)

// table says who answers the requests to an endpoint. It is made anew when that
// changes; only whose turn it is changes within.
type table struct {
	form  string // tables of the same form need not replace each other
	split *target.Split
	seats []*seat
	// guarded asks for one of the keys; without any it lets nobody in.
	guarded bool
	keys    keys
	// mirror gets copies, of as many percent as the split says.
	mirror *seat

	mu     sync.Mutex
	copied float64 // of a copy, that are due
}

// seat is a version with its share.
type seat struct {
	*version
	weight float64
	turn   float64 // what it is owed
}

// newTable makes the table of the roles out of the versions in this process. k are the
// keys of the endpoint, if it has any.
func newTable(p roles, versions map[string]*version, k keys) *table {
	t := &table{split: p.split}
	form := "no split"
	if p.split != nil {
		form = fmt.Sprintf("%s %v %v %s", p.split.ID, p.split.MirrorPercent, p.split.Tolerance, p.split.Sticky)
	}
	for _, s := range p.shares {
		v := versions[s.ID]
		t.seats = append(t.seats, &seat{version: v, weight: s.weight})
		form += fmt.Sprintf("\n%s %v", s.ID, s.weight)
		if v.Access == target.Keyed {
			t.guarded = true
		}
	}
	if p.mirror != nil {
		t.mirror = &seat{version: versions[p.mirror.ID]}
		form += "\nmirror " + p.mirror.ID
	}
	if t.guarded {
		t.keys = k
		form += "\nkeys " + k[0] + " " + k[1]
	}
	t.form = form
	return t
}

// alone is the table in which one version answers everything.
func alone(v *version, k keys) *table {
	return newTable(roles{shares: []share{{&v.deployment, 1}}}, map[string]*version{v.ID: v}, k)
}

// choose returns the version whose turn it is, or nil when there is none. Those with
// the same value of the sticky header, if it has one, get the same.
func (t *table) choose(sticky string) *version {
	switch {
	case t == nil || len(t.seats) == 0:
		return nil
	case len(t.seats) == 1:
		return t.seats[0].version
	case sticky != "":
		return t.consistent(sticky)
	}
	return t.next()
}

// next is smooth weighted round robin, as nginx has it: each is owed its weight with
// every request, and the one that is owed most pays all. After any number of requests
// each is less than one request away from its share.
func (t *table) next() *version {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := 0.0
	best := t.seats[0]
	for _, s := range t.seats {
		sum += s.weight
		if s.turn += s.weight; s.turn > best.turn {
			best = s
		}
	}
	best.turn -= sum
	return best.version
}

// consistent is weighted rendezvous hashing (Schindelhauer and Schomaker 2005): the
// choice of a value depends on nothing but the value and the shares, and when one share
// grows, values move to it and between no others.
func (t *table) consistent(value string) *version {
	best, most := t.seats[0], math.Inf(-1)
	for _, s := range t.seats {
		if score := -s.weight / math.Log(point(value, s.ID)); score > most {
			best, most = s, score
		}
	}
	return best.version
}

// point is a number above 0 and below 1 that follows from two texts alone.
func point(value, id string) float64 {
	h := fnv.New64a()
	h.Write([]byte(value))
	h.Write([]byte{0})
	h.Write([]byte(id))
	x := h.Sum64()
	// FNV leaves similar texts close together; the end of MurmurHash3 does not.
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return (float64(x>>12) + 0.5) / (1 << 52)
}

// copies reports whether this request is one that the mirror gets a copy of.
func (t *table) copies() bool {
	if t.mirror == nil || t.split == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.copied += t.split.MirrorPercent / 100
	if t.copied < 1-1e-9 {
		return false
	}
	t.copied--
	return true
}

func (t *table) stickyHeader() string {
	if t == nil || t.split == nil {
		return ""
	}
	return t.split.Sticky
}

func (t *table) String() string {
	if t == nil {
		return "nobody"
	}
	var b strings.Builder
	for _, s := range t.seats {
		fmt.Fprintf(&b, "%s %v ", s.ID, s.weight)
	}
	return strings.TrimSpace(b.String())
}
