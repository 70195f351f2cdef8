package crowd

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// member is a user, who looks at the lines as they come, and keeps only what is asked for later.
type member struct {
	nick     string
	typed    *io.PipeWriter
	people   atomic.Int64 // how many are in the room, by the lines
	messages atomic.Int64

	mu    sync.Mutex // guards the fields below
	rest  []byte     // the begin of a line
	next  map[string]int
	times Times
	wrong string
}

// say types a message: "@NUMBER TIME".
func (m *member) say(number int, now time.Time) error {
	_, err := fmt.Fprintf(m.typed, "@%d %d\n", number, now.UnixNano())
	return err
}

// Write takes what the chat prints.
func (m *member) Write(p []byte) (int, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest = append(m.rest, p...)
	for {
		line, rest, ok := bytes.Cut(m.rest, []byte("\n"))
		if !ok {
			m.rest = append(m.rest[:0:0], m.rest...)
			return len(p), nil
		}
		m.line(now, string(line))
		m.rest = rest
	}
}

// line takes a line: the roster, somebody who joins, or "[ROOM] NICK: @NUMBER TIME".
func (m *member) line(now time.Time, line string) {
	if list, ok := strings.CutPrefix(line, "* lobby: "); ok {
		m.people.Store(int64(strings.Count(list, ",") + 1))
		return
	}
	if strings.HasSuffix(line, " joined lobby") {
		m.people.Add(1)
		return
	}
	who, said, ok := strings.Cut(strings.TrimPrefix(line, "[lobby] "), ": @")
	if !ok {
		return
	}
	number, at, _ := strings.Cut(said, " ")
	seq, err1 := strconv.Atoi(number)
	sent, err2 := strconv.ParseInt(at, 10, 64)
	if (err1 != nil || err2 != nil || seq != m.next[who]) && m.wrong == "" {
		m.wrong = fmt.Sprintf("%q where message %d of %s was to come", line, m.next[who], who)
	}
	m.next[who] = seq + 1
	m.times.add(now.Sub(time.Unix(0, sent)))
	m.messages.Add(1)
}

// report adds what this user has seen to all.
func (m *member) report(all *Times) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all.Merge(&m.times)
	if m.wrong != "" {
		return fmt.Errorf("%w: %s got %s", ErrWrong, m.nick, m.wrong)
	}
	return nil
}
