package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hall is a room whose chats are as plain as can be. Every message passes through bend, which may spoil it.
type hall struct {
	bend func(line string) (lines []string)

	mu   sync.Mutex // guards the fields below
	outs []io.Writer
}

func (h *hall) chat(ctx context.Context, nick string, in io.Reader, out io.Writer) error {
	h.mu.Lock()
	for _, other := range h.outs {
		fmt.Fprintf(other, "* %s joined lobby\n", nick)
	}
	h.outs = append(h.outs, out)
	fmt.Fprintf(out, "* connected as %s on a@127.0.0.1\n* lobby: x%s\n", nick, strings.Repeat(", x", len(h.outs)-1))
	h.mu.Unlock()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		h.mu.Lock()
		for _, line := range h.bend(lines.Text()) {
			for _, out := range h.outs {
				fmt.Fprintf(out, "[lobby] %s: %s\n", nick, line)
			}
		}
		h.mu.Unlock()
	}
	return ctx.Err()
}

func straight(line string) []string { return []string{line} }

// TestCrowd has two crowds in one room, and finds what goes wrong with messages.
func TestCrowd(t *testing.T) {
	const users, count = 20, 40
	held := ""
	tests := []struct {
		name string
		bend func(string) []string
		fine bool
	}{
		{"straight", straight, true},
		{"twice", func(line string) []string { return []string{line, line} }, false},
		{"garbled", func(line string) []string { return []string{strings.Replace(line, " ", "x", 1)} }, false},
		{"swapped", func(line string) []string {
			if held == "" {
				held = line
				return nil
			}
			lines := []string{line, held}
			held = ""
			return lines
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &hall{bend: tt.bend}
			crowds := []*Crowd{New(t.Context()), New(t.Context())}
			var all Times
			var mu sync.Mutex // guards all
			var wg sync.WaitGroup
			for i, c := range crowds {
				defer c.Leave()
				wg.Go(func() {
					if err := c.Enter(t.Context(), fmt.Sprint("u", i, "-"), users, 2*users, h.chat); err != nil {
						t.Error(err)
						return
					}
					times, err := c.Speak(t.Context(), 1, count, 2*count, 100*time.Microsecond)
					if !tt.fine && !errors.Is(err, ErrWrong) || tt.fine && err != nil {
						t.Errorf("got %v", err)
					}
					if tt.fine && err == nil {
						mu.Lock()
						defer mu.Unlock()
						all.MergeSparse(times.Sparse())
					}
				})
			}
			wg.Wait()
			if got := all.Count(); tt.fine && got != 2*users*2*count {
				t.Errorf("%d messages came", got)
			}
		})
	}
}

// TestCrowdLoss: a message that does not come is missed, and who misses it is told.
func TestCrowdLoss(t *testing.T) {
	h := &hall{bend: func(line string) []string {
		if strings.HasPrefix(line, "@3 ") {
			return nil
		}
		return []string{line}
	}}
	c := New(t.Context())
	defer c.Leave()
	if err := c.Enter(t.Context(), "u", 2, 2, h.chat); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Speak(ctx, 1, 4, 4, time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "u0 has 2 people and 3 messages") {
		t.Errorf("got %v", err)
	}
}

// TestCrowdFailure: a chat that fails ends the wait for it.
func TestCrowdFailure(t *testing.T) {
	c := New(t.Context())
	defer c.Leave()
	fail := func(context.Context, string, io.Reader, io.Writer) error { return io.ErrUnexpectedEOF }
	if err := c.Enter(t.Context(), "u", 2*atOnce, 2*atOnce, fail); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestTimes(t *testing.T) {
	h, other := new(Times), new(Times)
	for i := range 50 {
		h.add(time.Duration(i) * time.Millisecond)
		other.add(time.Duration(50+i) * time.Millisecond)
	}
	h.Merge(other)
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 501, 0.99: 991, 1: 20_000} {
		if got := h.Quantile(q); got != want*grain {
			t.Errorf("quantile %v: got %v, want %v", q, got, want*grain)
		}
	}
	h.add(time.Hour)
	h.add(-time.Second)
	if h[len(h)-1] != 1 || h[0] != 2 {
		t.Error("what is beyond the ends is not counted there")
	}
	h.MergeSparse(map[int]int{-1: 1, len(h): 1, 5: 1})
	if got := h.Count(); got != 103 {
		t.Errorf("%d are counted", got)
	}
}
