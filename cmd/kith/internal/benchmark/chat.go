package benchmark

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// measureChat is two users of two kith chats, and a room full of people.
func measureChat(t *turn) error {
	if err := measurePair(t); err != nil {
		return err
	}
	t.say("two users: done")
	return measureCrowd(t)
}

// measurePair is the time from a line typed into one kith chat until another one prints it, 100 lines a second.
func measurePair(t *turn) error {
	lines, pause := t.many(500), 10*time.Millisecond
	writer, in, err := t.kithChat("ann")
	if err != nil {
		return err
	}
	defer writer.end()
	reader, _, err := t.kithChat("bob")
	if err != nil {
		return err
	}
	defer reader.end()
	writer.handle(func(*bufio.Reader) {})
	got := make(chan time.Time, lines)
	met := make(chan struct{})
	failed := make(chan error, 1)
	reader.handle(func(out *bufio.Reader) { failed <- follow(out, met, got) })
	// Until the first of them arrives the two may not know each other.
	for hello := true; hello; {
		if _, err := io.WriteString(in, "hello\n"); err != nil {
			return err
		}
		select {
		case <-met:
			hello = false
		case <-time.After(100 * time.Millisecond):
		case err := <-failed:
			return err
		}
	}
	var took []time.Duration
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range lines {
		begin := time.Now()
		if _, err := fmt.Fprintf(in, "line %d\n", i); err != nil {
			return err
		}
		select {
		case at := <-got:
			took = append(took, at.Sub(begin))
		case err := <-failed:
			return err
		case <-time.After(patience):
			return errLost
		}
		<-tick.C
	}
	t.figures["chat_p99_ms"] = quantile(took, 0.99, time.Millisecond)
	return nil
}

// follow reads what a chat prints, and notes when each line of the other one came.
func follow(r *bufio.Reader, met chan<- struct{}, got chan<- time.Time) error {
	for first := true; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return errors.Join(errors.New("a chat ended early"), err)
		}
		switch now := time.Now(); {
		case strings.HasPrefix(line, "[lobby] ann: line "):
			got <- now
		case first && strings.HasPrefix(line, "[lobby] ann: hello"):
			first = false
			close(met)
		}
	}
}

// kithChat starts kith chat in this mesh.
func (t *turn) kithChat(nick string) (*process, io.Writer, error) {
	return execute(t.ctx, t.log, t.Program, append([]string{"chat", "--plain", "--nick", nick}, t.common()...)...)
}
