package screen

import (
	"context"
	"os"
	"sync"

	tea "charm.land/bubbletea/v2"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// maxQueue is how many lines wait for the program to draw them. A room keeps no more either.
const maxQueue = maxBacklog

// Screen is a front end of the chat. Its methods may be called by any goroutine.
type Screen struct {
	program *tea.Program
	ended   chan struct{}
	failed  error // why the program ended, nil for in good order; written before ended is closed

	mu     sync.Mutex // guards the fields below
	lines  []talk.Line
	past   []talk.ShowPast
	view   *talk.View
	events []talk.Event
	typed  chan struct{} // closed and replaced when events come
	drawn  bool          // the program knows that there is something to draw
}

// New takes over a terminal and shows that the chat is connecting. Close gives it back.
func New(in, out *os.File) *Screen {
	s := &Screen{ended: make(chan struct{}), typed: make(chan struct{})}
	s.program = tea.NewProgram(newModel(s.emit, s.take),
		tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	go func() {
		defer close(s.ended)
		_, s.failed = s.program.Run()
		s.emit(talk.End{}) // what ends it, ends the chat
	}()
	return s
}

// pending tells the program that lines or a view wait.
type pending struct{}

// Show queues a line. It does not block; ErrClosed when the terminal is gone.
func (s *Screen) Show(l talk.Line) error {
	s.mu.Lock()
	if over := len(s.lines) + 1 - maxQueue; over > 0 {
		s.lines = s.lines[over:] // it would be out of the backlog by the time it was drawn
	}
	s.lines = append(s.lines, l)
	s.mu.Unlock()
	return s.wake()
}

// Past queues what was said before. It does not block; ErrClosed when the terminal is gone.
func (s *Screen) Past(p talk.ShowPast) error {
	s.mu.Lock()
	s.past = append(s.past, p)
	s.mu.Unlock()
	return s.wake()
}

// Update queues a view in place of the last one.
func (s *Screen) Update(v talk.View) {
	s.mu.Lock()
	s.view = &v
	s.mu.Unlock()
	_ = s.wake() // the next line will say so
}

// wake has the program take what is queued, once for all that comes until it does; ErrClosed when the terminal is gone.
func (s *Screen) wake() error {
	s.mu.Lock()
	wake := !s.drawn
	s.drawn = true
	s.mu.Unlock()
	if wake {
		go s.program.Send(pending{}) // it waits until the program takes it, or ends
	}
	select {
	case <-s.ended:
		return os.ErrClosed
	default:
		return nil
	}
}

// take hands the program what is queued.
func (s *Screen) take() news {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := news{s.lines, s.past, s.view}
	s.lines, s.past, s.view, s.drawn = nil, nil, nil, false
	return n
}

// news is what the talk has for the screen.
type news struct {
	lines []talk.Line
	past  []talk.ShowPast
	view  *talk.View
}

// emit queues an event of the user. What is asked for again before the talk has taken it is asked for once: a wheel turns
// faster than pages are read.
func (s *Screen) emit(ev talk.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.events); n > 0 && ev == (talk.Older{}) && s.events[n-1] == ev {
		return
	}
	s.events = append(s.events, ev)
	close(s.typed)
	s.typed = make(chan struct{})
}

// Read submits what the user does, until the end of the chat.
func (s *Screen) Read(ctx context.Context, submit func(talk.Event) error) {
	for {
		s.mu.Lock()
		events, typed := s.events, s.typed
		s.events = nil
		s.mu.Unlock()
		for _, ev := range events {
			if submit(ev) != nil {
				return
			}
			if _, end := ev.(talk.End); end {
				return
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-typed:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the program and gives the terminal back as it was. It returns what the program failed of.
func (s *Screen) Close() error {
	s.program.Quit()
	<-s.ended
	return s.failed
}
