package schema

import (
	"cmp"
	"slices"
	"strings"
)

// cycles refuses stages that wait for each other, at the place that closes the ring.
func (c *checker) cycles() {
	const (
		unseen = iota
		open
		done
	)
	state := map[string]int{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		state[name] = open
		path = append(path, name)
		for _, e := range c.inOrder(c.edges[name]) {
			switch state[e.to] {
			case unseen:
				visit(e.to)
			case open:
				if !c.few() {
					continue
				}
				c.cycle(path[slices.Index(path, e.to):], e)
			}
		}
		path = path[:len(path)-1]
		state[name] = done
	}
	for _, s := range c.stages() {
		if state[s.Name] == unseen {
			visit(s.Name)
		}
	}
}

// inOrder gives one edge for each stage that is waited for: the first in the file.
func (c *checker) inOrder(edges []edge) []edge {
	edges = slices.Clone(edges)
	slices.SortStableFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Col, b.at.Col))
	})
	edges = slices.CompactFunc(edges, func(a, b edge) bool { return a.to == b.to })
	slices.SortStableFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Col, b.at.Col))
	})
	return edges
}

func (c *checker) cycle(ring []string, e edge) {
	const most = 10
	words := append(slices.Clone(ring), e.to)
	if len(words) > most {
		words = append(append(words[:most/2:most/2], "…"), words[len(words)-most/2:]...)
	}
	f := c.atKey("cycle", e.path, "remove one of these needs or references", "stages wait for each other: %s", strings.Join(words, " -> "))
	f.Pos, f.Width = e.at, e.width
	c.find(f)
}
