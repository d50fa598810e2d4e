package tracking

import (
	"strconv"
	"strings"
)

// flat reads the map of texts and numbers that MLflow's file store writes as YAML, with
// Python's safe_dump: a key a line, and what is long goes on in lines that are indented. What
// is deeper is left out.
func flat(text string) map[string]string {
	all := map[string]string{}
	key, value := "", ""
	end := func() {
		if key != "" {
			all[key] = scalar(value)
		}
		key = ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if rest, on := strings.CutPrefix(line, "  "); on || line == "" {
			value = goesOn(value, rest)
			continue
		}
		end()
		key, value, _ = strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
	}
	end()
	return all
}

// goesOn joins lines of one text: an empty line stands for the end of a line.
func goesOn(value, line string) string {
	switch {
	case line == "":
		return value + "\n"
	case strings.HasSuffix(value, "\\"): // in double quotes
		return strings.TrimSuffix(value, "\\") + strings.TrimPrefix(line, "\\")
	case strings.HasSuffix(value, "\n"):
		return value + line
	}
	return value + " " + line
}

func scalar(text string) string {
	switch {
	case len(text) > 1 && text[0] == '\'' && text[len(text)-1] == '\'':
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'")
	case len(text) > 1 && text[0] == '"':
		text = strings.NewReplacer(`\\`, `\\`, `\x`, `\u00`, "\n", `\n`).Replace(text) // \x is a character, and no byte
		if plain, err := strconv.Unquote(text); err == nil {
			return plain
		}
		return strings.Trim(text, `"`)
	case text == "null" || text == "~":
		return ""
	}
	return text
}
