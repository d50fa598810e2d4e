package schema

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// blanks stand in the cures of habits for what the file says already. One with a
	// dot behind it is part of a name that has to be thought of.
	blanks = regexp.MustCompile(`\[?\b(NAME|STAGE|GROUP|FOLDER|FILE|SCRIPT|TEXT|VALUE|N)\b(, …)?\]?(\.?)`)

	// amountBlank is an example of a time or a size in a cure.
	amountBlank = regexp.MustCompile(`(timeout|every|backoff|max_age|ready|memory): [0-9]+[A-Za-z]+`)

	// named is a cure for what has a name of ours.
	named = regexp.MustCompile("^`(pipeline|template|workspace|endpoint|group): NAME")

	plainWord = regexp.MustCompile(`^[\w./][\w./:@+-]*$`)
)

// filled puts what the file says under key into the cure of a habit, where the cure
// leaves just one thing open.
func filled(cure, key string, given any) string {
	from := strings.IndexByte(cure, '`')
	if from < 0 || strings.Count(cure, "`") != 2 {
		return cure
	}
	to := from + 1 + strings.IndexByte(cure[from+1:], '`')
	text := cure[from:to]
	if m := amountBlank.FindStringSubmatchIndex(text); m != nil {
		if amount := amountOf(key, text[m[2]:m[3]], given); amount != "" && blanks.FindString(text) == "" {
			return cure[:from] + text[:m[3]] + ": " + amount + text[m[1]:] + cure[to:]
		}
		return cure
	}
	open := blanks.FindAllStringSubmatchIndex(text, 2)
	if strings.HasPrefix(text, "`target:") { // the names of the workspace are not those of other tools
		return cure
	}
	if named.MatchString(text) && isText(given) {
		given = mend(given.(string), "small letters -")
	}
	if len(open) != 1 || open[0][6] != open[0][7] {
		return cure
	}
	m := open[0]
	value := blankFilled(text[m[2]:m[3]], strings.HasPrefix(text[m[0]:m[1]], "["), given)
	if value == "" {
		return cure
	}
	return cure[:from] + text[:m[0]] + value + text[m[1]:] + cure[to:]
}

// blankFilled is given as the blank wants it; "" when it does not fit.
func blankFilled(blank string, list bool, given any) string {
	if list {
		var items []string
		for _, item := range listOf(given) {
			items = append(items, blankFilled(blank, false, item))
		}
		if text := strings.Join(items, ", "); text != "" && !strings.Contains(", "+text+",", ", ,") {
			return "[" + shorten(text) + "]"
		}
		return ""
	}
	text, isText := given.(string)
	switch {
	case blank == "N":
		if n, ok := given.(int); ok && n > 0 {
			return fmt.Sprint(n)
		}
	case blank == "VALUE" && !isText && asMap(given) == nil && !isList(given) && given != nil:
		return compact(given)
	case !isText || text == "" || len(text) > 60 || strings.Contains(text, "{{") || strings.ContainsAny(text, "\n`"):
	case blank == "TEXT" || blank == "VALUE" || blank == "SCRIPT":
		return quotedIf(text)
	case plainWord.MatchString(text):
		return text
	}
	return ""
}

func listOf(given any) []any {
	if list := asList(given); list != nil {
		return list
	}
	return []any{given}
}

// amountOf is a time or a size as it is written here. A key that ends with its unit
// has a bare number.
func amountOf(key, what string, given any) string {
	text, _ := given.(string)
	switch n, isNumber := given.(int); {
	case isNumber && n > 0:
		for _, unit := range []string{"seconds", "minutes", "hours", "days"} {
			if what != "memory" && strings.HasSuffix(joints.Replace(strings.ToLower(key)), unit) {
				return fmt.Sprintf("%d%c", n, unit[0])
			}
		}
	case what == "memory" && bytesPattern.MatchString(text), what != "memory" && durationPattern.MatchString(text):
		return text
	case what != "memory":
		return mendTime(text)
	}
	return ""
}
