package expr

import "fmt"

var object = setOf(Object)

var objectFunctions = map[string]function{
	"keys":      {takes: []kinds{object}, required: 1, gives: always(Type{Kind: List, Elem: &Type{Kind: Text}}), apply: keys},
	"values":    {takes: []kinds{object}, required: 1, gives: valuesType, apply: values},
	"toPairs":   {takes: []kinds{object}, required: 1, gives: always(Type{Kind: List}), apply: toPairs},
	"fromPairs": {takes: []kinds{list}, required: 1, gives: always(Type{Kind: Object}), apply: fromPairs},
	"get":       {takes: []kinds{object, text}, required: 2, gives: getType, apply: get},
}

// valuesType is the type that all fields have in common.
func valuesType(args []Type) Type {
	elem := args[0].elem()
	if len(args[0].Fields) > 0 {
		elem = Type{Kind: Nothing}
		for _, name := range args[0].known() {
			elem = join(elem, args[0].Fields[name])
		}
	}
	return Type{Kind: List, Elem: &elem}
}

func getType(args []Type) Type {
	if args[0].Fields == nil {
		return args[0].elem()
	}
	return Type{}
}

// each calls f for every field in the order of the names, which is the same every time.
func (m *machine) each(fields map[string]any, f func(name string, v any) any) (any, error) {
	if err := m.space(len(fields)); err != nil {
		return nil, err
	}
	if err := m.spend(sortCost(len(fields))); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(fields))
	for _, name := range sortedKeys(fields) {
		out = append(out, f(name, fields[name]))
	}
	return out, nil
}

func keys(m *machine, args []any) (any, error) {
	return m.each(args[0].(map[string]any), func(name string, _ any) any { return name })
}

func values(m *machine, args []any) (any, error) {
	return m.each(args[0].(map[string]any), func(_ string, v any) any { return v })
}

func toPairs(m *machine, args []any) (any, error) {
	return m.each(args[0].(map[string]any), func(name string, v any) any { return []any{name, v} })
}

func fromPairs(m *machine, args []any) (any, error) {
	items := args[0].([]any)
	if err := m.space(len(items)); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(items))
	for i, item := range items {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("item %d of the list is not a pair [name, value]", i)
		}
		name, ok := pair[0].(string)
		if !ok {
			return nil, fmt.Errorf("the name in pair %d is not text", i)
		}
		out[name] = pair[1]
	}
	return out, nil
}

// get is the field, or nil.
func get(_ *machine, args []any) (any, error) {
	return args[0].(map[string]any)[args[1].(string)], nil
}
