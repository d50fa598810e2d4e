package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// live draws a line for each stage, over and over in the same place.
type live struct {
	p       *program
	made    *engine.Prepared
	program *tea.Program
}

func (v *live) notice(s string) {
	if v.program == nil {
		v.p.say("%s", s)
		return
	}
	v.program.Send(noticed(s))
}

// The messages of the model.
type (
	noticed string
	tick    time.Time
	looked  struct {
		run     *flow.Progress
		numbers map[string]string             // by stage, or item
		values  map[string]map[string]float64 // the same, of stages
		words   map[string]string             // last log line by stage
	}
	over struct{}
)

// follow watches beside the drawing, which ends with the watching.
func (v *live) follow(ctx context.Context, e *engine.Engine, id string) (*flow.Progress, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	m := &screen{id: id, stop: func() { stop(context.Canceled) }}
	keys := v.p.in
	if !terminal(keys) {
		keys = nil // then Ctrl-C comes as a signal
	}
	v.program = tea.NewProgram(m, tea.WithOutput(v.p.err), tea.WithInput(keys), tea.WithoutSignalHandler())
	var r *flow.Progress
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		see := &looker{e: e, numbers: reported{}, logs: map[string]*tail{}}
		r, err = e.Watch(ctx, id, func(now *flow.Progress) { v.program.Send(see.look(ctx, now)) })
		v.program.Send(over{})
	}()
	if _, drawing := v.program.Run(); drawing != nil {
		stop(drawing)
	}
	<-done
	v.program = nil
	if ctx.Err() != nil && err != nil {
		return r, stopped{}
	}
	return r, err
}

// stopped says that the person pressed Ctrl-C while the terminal gave it to us as
// a key instead of a signal.
type stopped struct{}

func (stopped) Error() string        { return "stopped watching" }
func (stopped) Is(target error) bool { return target == context.Canceled }

func (v *live) end(r *flow.Progress) error { v.p.ending(r, v.made); return nil }

// looker gathers what is worth a line beside the state of a run.
type looker struct {
	e       *engine.Engine
	numbers reported
	logs    map[string]*tail
	last    time.Time
}

type tail struct {
	job    string
	offset int64
	rest   []byte
	line   string
}

func (l *looker) look(ctx context.Context, r *flow.Progress) looked {
	now := looked{run: r, numbers: map[string]string{}, values: map[string]map[string]float64{}, words: map[string]string{}}
	fresh := time.Since(l.last) > 200*time.Millisecond
	if fresh {
		l.last = time.Now()
	}
	for i := range r.Stages {
		s := &r.Stages[i]
		if s.Status == target.Running && s.Job != "" && fresh {
			l.numbers.look(ctx, l.e, s)
			l.read(ctx, r, s)
		}
		l.measure(ctx, s, fresh, &now)
		if t := l.logs[s.Name]; t != nil && s.Status == target.Running {
			now.words[s.Name] = t.line
		}
	}
	return now
}

// measure adds what a stage and those of its parts that are drawn have reported. A part is not
// looked at when its stage has ended, and of many some.
func (l *looker) measure(ctx context.Context, s *flow.StageProgress, fresh bool, now *looked) {
	if m := l.numbers[s.Name]; m != nil {
		now.numbers[s.Name], now.values[s.Name] = saidOf(s, m.last), maps.Clone(m.last)
	}
	if s.Status != target.Running || s.Sweep != nil { // what trials report is on record
		return
	}
	for _, q := range inner(s) {
		if q.Job != "" && fresh {
			l.numbers.look(ctx, l.e, q)
		}
		if m := l.numbers[q.Name]; m != nil {
			now.numbers[q.Name] = saidOf(q, m.last)
		}
	}
}

func (l *looker) read(ctx context.Context, r *flow.Progress, s *flow.StageProgress) {
	t := l.logs[s.Name]
	if t == nil || t.job != s.Job {
		t = &tail{job: s.Job}
		l.logs[s.Name] = t
	}
	var fresh buffer
	t.offset, _ = l.e.Logs(ctx, s, r.Store, 0, t.offset, &fresh)
	for _, line := range fresh.lines(&t.rest) {
		if s := strings.TrimSpace(clean(string(line))); s != "" {
			t.line = s
		}
	}
}

// screen is what is drawn.
type screen struct {
	id     string
	now    looked
	note   string
	frame  int
	wide   int
	high   int
	stop   func()
	closed bool
}

func (m *screen) Init() tea.Cmd { return next() }

func next() tea.Cmd {
	return tea.Tick(100*time.Millisecond, func(t time.Time) tea.Msg { return tick(t) })
}

func (m *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		m.frame++
		return m, next()
	case looked:
		m.now, m.note = msg, ""
	case noticed:
		m.note = string(msg)
	case tea.WindowSizeMsg:
		m.wide, m.high = msg.Width, msg.Height
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+c" {
			m.stop()
		}
	case over:
		m.closed = true
		return m, tea.Quit
	}
	return m, nil
}

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

var marks = map[target.State]string{
	target.Waiting: "·", target.Succeeded: "✓", target.Failed: "✗", target.Lost: "?", target.Cancelled: "■", flow.Skipped: "-",
}

func (m *screen) View() tea.View {
	var b strings.Builder
	r := m.now.run
	if r == nil {
		return tea.NewView(fmt.Sprintf("%c run %s %s", m.spin(), m.id, m.note))
	}
	fmt.Fprintf(&b, "run %s  %s  %s  %s\n", paint(true, bold, m.id), r.Pipeline, span(r.Started, r.Ended), clean(r.Why))
	name := 0
	for _, s := range r.Stages {
		name = max(name, len(s.Name))
	}
	seen := m.visible(r)
	room := max(m.high, 24) - len(seen) - 3 // for lines below those of stages, so that all fit
	below := func(text string) {
		if room--; room >= 0 && !m.closed {
			b.WriteString(m.fit(paint(true, dim, strings.Repeat(" ", name+4)+"│ "+text)) + "\n")
		}
	}
	for _, i := range seen {
		s := &r.Stages[i]
		b.WriteString(m.fit(m.line(s, name)) + "\n")
		if words := m.now.words[s.Name]; words != "" {
			below(words)
		}
		for _, line := range m.details(s, mostInner) {
			below(line)
		}
	}
	if m.note != "" {
		b.WriteString(m.note + "\n")
	}
	return tea.NewView(b.String())
}

func (m *screen) spin() rune { return spinner[m.frame%len(spinner)] }

// visible picks the stages that fit on the screen: those that run come first.
func (m *screen) visible(r *flow.Progress) []int {
	room := max(m.high/2, 12)
	all := make([]int, 0, len(r.Stages))
	if len(r.Stages) <= room {
		for i := range r.Stages {
			all = append(all, i)
		}
		return all
	}
	for _, wanted := range []bool{true, false} {
		for i := range r.Stages {
			if running := r.Stages[i].Status == target.Running; running == wanted && len(all) < room {
				all = append(all, i)
			}
		}
	}
	return all
}

func (m *screen) line(s *flow.StageProgress, wide int) string {
	mark := marks[s.Status]
	if s.Status == target.Running {
		mark = string(m.spin())
	}
	parts := []string{fmt.Sprintf("%s %-*s", mark, wide, s.Name), state(true, s.Status)}
	if s.Target != "" {
		parts = append(parts, "on "+s.Target)
	}
	if t := span(s.Started, s.Ended); t != "" && s.Status != flow.Skipped {
		parts = append(parts, t)
	}
	numbers := numbersOf(s)
	if numbers == "" {
		numbers = m.now.numbers[s.Name]
	}
	for _, more := range []string{m.gauge(s), m.sofar(s), numbers, s.URL, s.Why, s.Error} {
		if more != "" {
			parts = append(parts, clean(more))
		}
	}
	return strings.Join(parts, "  ")
}

// fit keeps a line from wrapping, which would spoil the drawing.
func (m *screen) fit(s string) string {
	if m.wide == 0 {
		return s
	}
	return lipgloss.NewStyle().MaxWidth(m.wide - 1).Render(s)
}
