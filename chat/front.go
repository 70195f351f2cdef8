package chat

import (
	"context"
	"os"

	"golang.org/x/term"

	"github.com/kith-mesh/kith/chat/internal/screen"
	"github.com/kith-mesh/kith/chat/internal/talk"
)

// front is how the chat meets its user: in plain lines, at a prompt, or on the whole screen.
type front interface {
	// Read reads what the user types until the end of input, and submits it as talk.Input, talk.TooLong, talk.Switch,
	// talk.Keystroke and, last, talk.End. submit returns when the next may come, or an error when nothing more is wanted.
	// It runs in a goroutine of its own, from when the first line has been shown.
	Read(ctx context.Context, submit func(talk.Event) error)
	// Show shows a line. It is called by one goroutine. An error means that nothing can be shown any more.
	Show(l talk.Line) error
	// Past shows what was said before what has been shown.
	Past(p talk.ShowPast) error
	// Close gives the terminal back.
	Close() error
}

// watcher is a front end that shows the state of the talk beside its lines.
type watcher interface {
	// Update takes the state, a few times a second at most. It is called by the goroutine that calls Show.
	Update(v talk.View)
}

// newFront picks the front end.
func newFront(cfg Config) front {
	if in, out := terminal(cfg.In), terminal(cfg.Out); FullScreen(cfg) {
		return screen.New(in, out)
	}
	return newPlain(cfg.In, cfg.Out)
}

// FullScreen says whether Run would take over the terminal. While it does, nothing else may write to it: a program
// that logs to the terminal has to hold its lines back until Run returns.
func FullScreen(cfg Config) bool {
	return !cfg.Plain && terminal(cfg.In) != nil && terminal(cfg.Out) != nil && os.Getenv("TERM") != "dumb"
}

// terminal returns the file behind an input or output if it is a terminal.
func terminal(v any) *os.File {
	if f, ok := v.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
