package chat

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// maxLine is how much of one line of input is kept: a command with its longest message fits well.
const maxLine = 16 << 10

// plain reads and prints lines, for scripts.
type plain struct {
	in  *bufio.Reader
	out io.Writer
	buf []byte
}

func newPlain(in io.Reader, out io.Writer) *plain {
	return &plain{in: bufio.NewReaderSize(in, maxLine), out: out}
}

// Read submits one line after the other.
func (p *plain) Read(_ context.Context, submit func(talk.Event) error) {
	for {
		ev, err := p.line()
		if ev != nil && submit(ev) != nil {
			return
		}
		if err != nil {
			_ = submit(talk.End{})
			return
		}
	}
}

// line reads a line. One that is longer than maxLine is skipped to its end, and only its length is kept.
func (p *plain) line() (talk.Event, error) {
	line, err := p.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		if len(line) == 0 {
			return nil, err
		}
		return talk.Input{Text: string(line)}, err
	}
	size := len(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = p.in.ReadSlice('\n')
		size += len(line)
	}
	return talk.TooLong{Bytes: size}, err
}

// Show prints a line. Hints are for people.
func (p *plain) Show(l talk.Line) error {
	if l.Kind == talk.Hint {
		return nil
	}
	p.buf = append(append(p.buf[:0], l.Format()...), '\n')
	_, err := p.out.Write(p.buf)
	return err
}

// Past prints the lines, behind those that were printed before.
func (p *plain) Past(past talk.ShowPast) error {
	for _, l := range past.Lines {
		if err := p.Show(l); err != nil {
			return err
		}
	}
	return nil
}

// Close does nothing: the input and the output belong to the caller.
func (p *plain) Close() error { return nil }
