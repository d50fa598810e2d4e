package plan

import (
	"fmt"
	"math"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/expr"
)

// fan finds what the stage runs over.
func (b *staging) fan() {
	l := b.layers[0] // templates say what one stage does, not how often
	s := l.s
	switch {
	case s.Matrix != nil:
		b.out.Fan = &Fan{Name: "matrix", Items: b.matrix(l, s.Matrix)}
	case s.Each != nil:
		b.out.Fan = b.each(l, s.Each)
	default:
		return
	}
	if v, ok := b.amount(l, s.Path+"/parallel", s.Parallel); ok {
		if b.out.Fan.Parallel = int(v); v != math.Trunc(v) {
			b.bad(l, s.Path+"/parallel", "bad-amount", fmt.Sprintf("%v items cannot run at once", v), "write a whole number from 1 on")
		}
	}
}

func (b *staging) matrix(l *layer, m *schema.Matrix) []Item {
	axes := make([]schema.Axis, len(m.Axes))
	alone := *l
	alone.scope = l.p.Scope(nil) // a matrix cannot be made of itself
	for i, axis := range m.Axes {
		axes[i] = schema.Axis{Name: axis.Name, Values: b.axis(&alone, axis)}
	}
	combinations, ok := schema.Combinations(axes, m.Include, m.Exclude)
	if !ok {
		b.bad(l, l.s.Path+"/matrix", "too-large", fmt.Sprintf("the matrix has more than %d combinations", schema.MaxCombinations), "exclude some, or make several stages of it")
		return nil
	}
	for _, one := range combinations {
		if !b.takes(l.p.Source, l.s.Path+"/matrix", sizeOf(one)) {
			return nil
		}
	}
	items := make([]Item, len(combinations))
	for i, c := range combinations {
		items[i].Value = c
	}
	return items
}

// axis are the values of one name of a matrix.
func (b *staging) axis(l *layer, axis schema.Axis) []any {
	if axis.Text != "" {
		list, ok := b.value(l, axis.Path, axis.Text).Known.([]any)
		if !ok {
			b.bad(l, axis.Path, expr.CodeType, fmt.Sprintf("the values of %q are not a list", axis.Name), "give a list here")
		}
		return list
	}
	values := make([]any, len(axis.Values))
	for i, v := range axis.Values {
		if text, isText := v.(string); isText && !literalText(text) {
			v = b.value(l, fmt.Sprintf("%s/%d", axis.Path, i), text).Known
		}
		values[i] = v
	}
	return values
}

func (b *staging) each(l *layer, e *schema.Each) *Fan {
	fan := &Fan{Name: "each"}
	list := e.List
	if e.Text != "" {
		alone := *l
		alone.scope = l.p.ScopeAround(l.s)
		r := b.read(l, b.value(&alone, l.s.Path+"/each", e.Text))
		if r.Expr != "" {
			fan.List = &r.Value
			return fan
		}
		list, _ = r.Known.([]any)
	}
	if len(list) > schema.MaxCombinations {
		b.bad(l, l.s.Path+"/each", "too-large", fmt.Sprintf("the list has %d items, and a stage runs over %d at most", len(list), schema.MaxCombinations), "let each item stand for several things")
		return fan
	}
	for _, v := range list {
		fan.Items = append(fan.Items, Item{Value: v})
	}
	return fan
}

func (b *staging) until() {
	l := b.says("until")
	if u := l.s.Until; u != nil {
		own := *l
		own.scope = l.p.UntilScope(l.s)
		r := b.read(l, b.value(&own, l.s.Path+"/until/when", u.When))
		b.out.Until = &Until{When: r.Value, Attempts: u.Attempts, Every: Duration(u.Every)}
	}
}

// places decides where the stage runs: once, or for each combination of a matrix
// when that makes a difference.
func (b *staging) places() {
	fan := b.out.Fan
	if fan == nil || fan.Name != "matrix" || len(fan.Items) == 0 || !b.differs() {
		b.settle(b.place(nil))
		return
	}
	for i := range fan.Items {
		m, _ := fan.Items[i].Value.(map[string]any)
		p := b.place(m)
		if i == 0 {
			b.settle(p)
		}
		fan.Items[i].Own = &p
	}
}

// differs reports whether what is decided before the run speaks of the matrix.
func (b *staging) differs() bool {
	for _, l := range b.layers {
		s := l.s
		texts := append([]string{s.Resources.CPUs, s.Resources.Memory, s.Resources.Nodes, s.Environment.Image}, s.Target...)
		if s.Launch != nil {
			texts = append(texts, s.Launch.Processes)
		}
		if s.Concurrency != nil {
			texts = append(texts, s.Concurrency.Group)
		}
		for _, w := range s.With {
			texts = append(texts, w.Text)
		}
		for _, text := range texts {
			if strings.Contains(text, "matrix") {
				return true
			}
		}
	}
	return false
}

// settle makes p the stage's own place.
func (b *staging) settle(p Place) {
	b.out.Targets, b.out.Asks, b.out.Launch, b.out.Group = p.Targets, p.Asks, p.Launch, p.Group
	if d := b.out.Deploy; d != nil && len(p.Targets) > 0 {
		d.Group = &Group{Name: fmt.Sprintf("endpoint %s on %s", d.Endpoint, p.Targets[0].Name), Limit: 1}
	}
	if p.Image != "" {
		b.out.Runtime = withImage(b.out.Runtime, p.Image)
	}
}
