package plan

import "container/heap"

// intHeap gives the smallest number first.
type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *intHeap) Push(x any) { *h = append(*h, x.(int)) }

// Pop is for container/heap.
func (h *intHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (h *intHeap) push(i int) { heap.Push(h, i) }
func (h *intHeap) pop() int   { return heap.Pop(h).(int) }
