package expr

import (
	"fmt"
	"math/bits"
)

// maxResult bounds the parts of a result, and maxResultBytes its texts: what leaves the package is a tree that can
// be stored and printed, whatever the expression shared by `let`.
const (
	maxResult      = 4 * MaxList
	maxResultBytes = 4 * MaxText
)

// result copies a value out of the machine, within bounds of its own.
func (m *machine) result(v any) (any, error) {
	c := copier{parts: maxResult, bytes: maxResultBytes}
	return c.copy(v, 0)
}

type copier struct{ parts, bytes int }

func (c *copier) take(bytes int) error {
	c.parts--
	c.bytes -= bytes
	if c.parts < 0 || c.bytes < 0 {
		return &Error{Code: CodeLimit, Message: fmt.Sprintf("the result has more than %d parts or %d bytes of text", maxResult, maxResultBytes),
			Hint: "pass large results on as a file output"}
	}
	return nil
}

func (c *copier) copy(v any, depth int) (any, error) {
	if depth > maxNested {
		return nil, &Error{Code: CodeLimit, Message: fmt.Sprintf("the result nests deeper than %d", maxNested)}
	}
	text, _ := v.(string)
	if err := c.take(len(text)); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case nil, bool, string:
		return v, nil
	case []any:
		return c.list(x, depth)
	case map[string]any:
		return c.object(x, depth)
	}
	n, err := numberOf(v)
	if err != nil {
		return nil, err
	}
	return n.value(), nil
}

func (c *copier) list(items []any, depth int) (any, error) {
	out := make([]any, 0, min(len(items), c.parts+1))
	for _, item := range items {
		v, err := c.copy(item, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (c *copier) object(fields map[string]any, depth int) (any, error) {
	out := make(map[string]any, min(len(fields), c.parts+1))
	for _, name := range sortedKeys(fields) {
		if err := c.take(len(name)); err != nil {
			return nil, err
		}
		v, err := c.copy(fields[name], depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// sortCost is the price of putting n things in order: a comparison is a tenth of a step.
func sortCost(n int) int { return n * bits.Len(uint(n)) / 10 }
