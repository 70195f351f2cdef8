package chat

import (
	"context"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// prompt is a line to type on, with editing and history, and the messages above it.
type prompt struct {
	term   *term.Terminal
	in     *os.File
	before *term.State
	once   sync.Once
}

// pair is a terminal's input and output.
type pair struct{ in, out *os.File }

func (p pair) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p pair) Write(b []byte) (int, error) { return p.out.Write(b) }

func newPrompt(in, out *os.File) (*prompt, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	t := term.NewTerminal(pair{in, out}, "> ")
	if w, h, err := term.GetSize(int(out.Fd())); err == nil {
		_ = t.SetSize(w, h)
	}
	return &prompt{term: t, in: in, before: before}, nil
}

// Read submits what is typed. Ctrl-C and Ctrl-D end the input.
func (p *prompt) Read(_ context.Context, submit func(talk.Event) error) {
	for {
		line, err := p.term.ReadLine()
		if err != nil && line == "" {
			_ = submit(talk.End{})
			return
		}
		if submit(talk.Input{Text: line}) != nil {
			return
		}
	}
}

// Show prints a line above the prompt.
func (p *prompt) Show(l talk.Line) error {
	_, err := p.term.Write([]byte(l.Format() + "\n"))
	return err
}

// Close gives the terminal back as it was.
func (p *prompt) Close() (err error) {
	p.once.Do(func() { err = term.Restore(int(p.in.Fd()), p.before) })
	return err
}
