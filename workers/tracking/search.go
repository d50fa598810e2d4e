package tracking

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// search is what a client looks for.
type search struct {
	IDs    []string        `json:"experiment_ids"`
	Filter string          `json:"filter"`
	View   json.RawMessage `json:"run_view_type"`
	Views  json.RawMessage `json:"view_type"`
	Max    whole           `json:"max_results"`
	Order  []string        `json:"order_by"`
	Token  string          `json:"page_token"`
}

// views reports whether what is active or deleted is asked for.
func (q search) views(stage string) bool {
	view := strings.Trim(string(q.View)+string(q.Views), `"`)
	switch view {
	case "ALL", "3":
		return true
	case "DELETED_ONLY", "2":
		return stage == deleted
	}
	return stage == active
}

// mostFound is how many are found at once when nobody says how many.
const mostFound = 1000

// matching picks what a search asks for, orders it and cuts a page out of it.
func matching[T any](q search, all []T, field func(x T, kind, key string) any) (found []T, next string, err error) {
	conditions, err := parseFilter(q.Filter)
	if err != nil {
		return nil, "", err
	}
	for _, x := range all {
		if holds(conditions, func(kind, key string) any { return field(x, kind, key) }) {
			found = append(found, x)
		}
	}
	orders := make([]order, len(q.Order))
	for i, text := range q.Order {
		if orders[i], err = parseOrder(text); err != nil {
			return nil, "", err
		}
	}
	slices.SortStableFunc(found, func(a, b T) int {
		for _, o := range orders {
			if n := o.compare(field(a, o.kind, o.key), field(b, o.kind, o.key)); n != 0 {
				return n
			}
		}
		return 0
	})
	return cut(found, int(q.Max), q.Token)
}

// cut is one page. The token is how many were told before.
func cut[T any](all []T, most int, token string) ([]T, string, error) {
	from := 0
	if token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil || from < 0 {
			return nil, "", invalid("the page token %q is none of ours", token)
		}
	}
	if most <= 0 {
		most = mostFound
	}
	all = all[min(from, len(all)):]
	if len(all) <= most {
		return all, "", nil
	}
	return all[:most], strconv.Itoa(from + most), nil
}

// page is a list as the client reads it.
func page(name string, all []map[string]any, next string) map[string]any {
	m := map[string]any{name: all}
	if next != "" {
		m["next_page_token"] = next
	}
	return m
}

// order is one thing to sort by.
type order struct {
	kind, key string
	down      bool
}

func parseOrder(text string) (order, error) {
	words, err := split(text)
	if err != nil || len(words) == 0 {
		return order{}, invalid("%q says no order", text)
	}
	o := order{}
	o.kind, o.key = identifier(words[0])
	if len(words) > 1 {
		o.down = strings.EqualFold(words[1], "DESC")
	}
	return o, nil
}

// compare puts what has no value last, whichever way the others go.
func (o order) compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(bit(a == nil), bit(b == nil))
	}
	n := 0
	x, numbers := a.(float64)
	if y, too := b.(float64); numbers && too {
		n = cmp.Compare(x, y)
	} else {
		s, _ := a.(string)
		t, _ := b.(string)
		n = strings.Compare(s, t)
	}
	if o.down {
		return -n
	}
	return n
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
