package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// read is one field: a list of *, N, N-M, each perhaps with /STEP.
func (f field) read(w word) (all []Range, wrong []Mistake) {
	if w.text == "?" && strings.HasPrefix(f.name, "day") {
		return []Range{{f.least, f.top(), 1}}, nil
	}
	for _, item := range list(w) {
		r, mistake := f.item(item)
		if mistake != nil {
			wrong = append(wrong, *mistake)
			continue
		}
		all = append(all, r)
	}
	return all, wrong
}

// list takes a field apart at its commas; also what is empty between two of them.
func list(w word) []word {
	var out []word
	at := w.at
	for text := range strings.SplitSeq(w.text, ",") {
		out = append(out, word{text, at})
		at += len(text) + 1
	}
	return out
}

func (w word) wrong(cure, format string, args ...any) *Mistake {
	return &Mistake{w.at, w.at + max(len(w.text), 1), fmt.Sprintf(format, args...), cure}
}

// top is the largest value that stands for something of its own.
func (f field) top() int {
	if f.most == 7 {
		return 6
	}
	return f.most
}

func (f field) item(w word) (r Range, wrong *Mistake) {
	span, step, stepped := strings.Cut(w.text, "/")
	r = Range{f.least, f.top(), 1}
	if stepped {
		n, err := strconv.Atoi(step)
		if most := f.top() - f.least; err != nil || n < 1 || n > most {
			at := word{step, w.at + len(span) + 1}
			return r, at.wrong(fmt.Sprintf("write a whole number from 1 to %d behind the /", most), "%q is no step for the %s", step, f.name)
		}
		r.Step = n
	}
	from, to, ranged := strings.Cut(span, "-")
	if span == "*" {
		return r, nil
	}
	if r.From, wrong = f.value(word{from, w.at}); wrong != nil {
		return r, wrong
	}
	switch {
	case ranged:
		if r.To, wrong = f.value(word{to, w.at + len(from) + 1}); wrong != nil {
			return r, wrong
		}
	case !stepped:
		r.To = r.From
	}
	if f.most == 7 && ranged && r.To == 0 && r.From > 0 {
		r.To = 7 // fri-sun
	}
	if r.From > r.To {
		return r, w.wrong(fmt.Sprintf("write it as two: %d-%d,%d-%d", r.From, f.top(), f.least, r.To), "the %s cannot go from %s to %s", f.name, from, to)
	}
	return r, nil
}

func (f field) value(w word) (int, *Mistake) {
	for i, name := range f.names {
		if strings.EqualFold(w.text, name) {
			return f.least + i, nil
		}
	}
	n, err := strconv.Atoi(w.text)
	if err == nil && n >= f.least && n <= f.most && w.text[0] != '+' {
		return n, nil
	}
	words := fmt.Sprintf("write a number from %d to %d, or *", f.least, f.most)
	if f.names != nil {
		words = fmt.Sprintf("write a number from %d to %d, a name such as %s, or *", f.least, f.most, f.names[1])
	}
	switch {
	case w.text == "":
		return 0, w.wrong(words, "the %s has an empty place", f.name)
	case err == nil:
		return 0, w.wrong(words, "there is no %s %s", f.name, w.text)
	case strings.ContainsAny(w.text, "LW#") && strings.Trim(strings.ToUpper(w.text), "0123456789LW#") == "":
		return 0, w.wrong("write the days as numbers, such as 28-31, and let the pipeline's first stage decide", "%q is of another scheduler, and means nothing here", w.text)
	}
	return 0, w.wrong(words, "%q is no %s", w.text, f.name)
}
