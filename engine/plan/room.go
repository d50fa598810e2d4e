package plan

import (
	"fmt"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// maxSize bounds a plan in the making, about in bytes: small files can ask for
// gigabytes, as with a long parameter in thousands of scripts. It is many times what
// can be started.
const maxSize = 96 << 20

// What things take in a plan besides their text.
const (
	sizeOfStage = 500
	sizeOfValue = 64
	sizeOfExpr  = 200 // to evaluate one takes time
)

// room is what is left for the plan and those inside of it.
type room struct{ left int }

// takes reports whether there is room for n more. What no longer fits is said once.
func (c *compiler) takes(s *schema.Source, at string, n int) bool {
	if c.room.left < 0 {
		return false
	}
	if c.room.left -= n; c.room.left >= 0 {
		return true
	}
	c.find(diag.Finding{Pos: s.At(at), Path: at, Code: "too-large", Message: fmt.Sprintf("up to here the plan takes more than %d bytes", maxSize), Hint: "use shorter texts and fewer expressions, or split the pipeline"})
	return false
}

// sizeOf is about how much a value takes.
func sizeOf(v any) int {
	n := sizeOfValue
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, item := range v {
			n += sizeOf(item)
		}
	case map[string]any:
		for key, item := range v {
			n += len(key) + sizeOf(item)
		}
	}
	return n
}
