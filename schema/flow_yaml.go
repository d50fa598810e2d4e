package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// flowYAML writes a value on one line. Text stays plain where it reads as the same text
// without quotes.
func flowYAML(v any) string {
	switch v := v.(type) {
	case string:
		if s, fs := Read("", []byte("[{ k: "+v+" }]")); !fs.Bad() {
			if got, _ := s.Value("/0/k"); got == v && len(asMap(asList(s.Tree)[0])) == 1 && len(asList(s.Tree)) == 1 {
				return v
			}
		}
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, flowYAML(key)+": "+flowYAML(v[key]))
		}
		if len(parts) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, flowYAML(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	text, err := json.Marshal(v) // JSON is YAML, too
	if err != nil {
		return "null" // what was read from YAML has no such value
	}
	return string(text)
}
