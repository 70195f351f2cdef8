package chat

import (
	"context"
	"os"

	"golang.org/x/term"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// front is how the chat meets its user: in plain lines, at a prompt, or on the whole screen.
type front interface {
	// Read reads what the user types until the end of input, and submits it as talk.Input, talk.TooLong and, last,
	// talk.End. submit returns when the next may come, or an error when nothing more is wanted. It runs in a goroutine
	// of its own, from when the first line has been shown.
	Read(ctx context.Context, submit func(talk.Event) error)
	// Show shows a line. It is called by one goroutine. An error means that nothing can be shown any more.
	Show(l talk.Line) error
	// Close gives the terminal back.
	Close() error
}

// newFront picks the front end.
func newFront(cfg Config) (front, error) {
	if !cfg.Plain {
		in, out := terminal(cfg.In), terminal(cfg.Out)
		if in != nil && out != nil {
			return newPrompt(in, out)
		}
	}
	return newPlain(cfg.In, cfg.Out), nil
}

// terminal returns the file behind an input or output if it is a terminal.
func terminal(v any) *os.File {
	if f, ok := v.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
