package gateway

import (
	"encoding/json"
	"math"
	"net/http"
)

// reportHeader carries the numbers that a model server reports of a request: a JSON
// object of names to [sum, count]. Clients do not see it.
const reportHeader = "Amlflow-Report"

// reported takes the numbers off an answer. What cannot be read is left out: a figure
// is worth less than an answer.
func reported(h http.Header) map[string]amount {
	text := h.Get(reportHeader)
	if text == "" {
		return nil
	}
	h.Del(reportHeader)
	var pairs map[string][2]float64
	if json.Unmarshal([]byte(text), &pairs) != nil {
		return nil
	}
	numbers := map[string]amount{}
	for name, p := range pairs {
		if len(name) <= 64 && p[1] >= 1 && p[1] <= 1e9 && math.Abs(p[0]) < 1e200 {
			numbers[name] = amount{Sum: p[0], Count: int64(p[1])}
		}
	}
	return numbers
}
