package tracking

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// whole is an integer, which JSON of protocol buffers may have as text.
type whole int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *whole) UnmarshalJSON(text []byte) error {
	said := strings.Trim(string(text), `"`)
	if said == "null" || said == "" {
		return nil
	}
	x, err := strconv.ParseInt(said, 10, 64)
	if err != nil {
		f, bad := strconv.ParseFloat(said, 64)
		if bad != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
			return fmt.Errorf("%s is no integer", text)
		}
		x = int64(f)
	}
	*n = whole(x)
	return nil
}

// number is a metric's value. What JSON has no number for is text: "NaN", "Infinity" and
// "-Infinity", as protocol buffers have it.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	said := strings.Trim(string(text), `"`)
	if said == "null" {
		return nil
	}
	x, err := strconv.ParseFloat(said, 64)
	if err != nil {
		return fmt.Errorf("%s is no number", text)
	}
	*n = number(x)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	switch x := float64(n); {
	case math.IsNaN(x):
		return []byte(`"NaN"`), nil
	case math.IsInf(x, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(x, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(x)
	}
}

func (n number) finite() bool { return n-n == 0 }

// same reports whether two values are the same, NaN and NaN too.
func (n number) same(o number) bool {
	return n == o || math.IsNaN(float64(n)) && math.IsNaN(float64(o))
}
