package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/meshtest"
)

// TestCrowd puts many users into one room of 3 nodes and has some of them talk, 200 messages a second together: every
// message reaches every user in its sender's order. It runs with 1,000 users, and with fewer under the race detector.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	users, seconds := 1000, 10
	if raceEnabled {
		users, seconds = 100, 3
	}
	const perSecond, speakers = 200, 20
	s := sites(t, meshtest.New(t, 3, meshtest.Tick(time.Second)))
	began := time.Now()
	crowd := newCrowd(t, s, users)
	t.Logf("%d users know each other after %v", users, time.Since(began).Round(time.Millisecond))

	pace := time.NewTicker(time.Second / perSecond)
	defer pace.Stop()
	total := perSecond * seconds
	for i := range total {
		<-pace.C
		sp := crowd.members[i%speakers]
		if _, err := fmt.Fprintf(sp.in, "@%d %d\n", i/speakers, time.Now().UnixNano()); err != nil {
			t.Fatal(err)
		}
	}
	crowd.await("all messages", func(m *member) bool { return m.messages.Load() == int64(total) })
	var all []time.Duration
	for _, m := range crowd.members {
		m.mu.Lock()
		if m.wrong != "" {
			t.Errorf("%s: %s", m.nick, m.wrong)
		}
		all = append(all, m.delays...)
		m.mu.Unlock()
	}
	slices.Sort(all)
	p50, p99 := all[len(all)/2], all[len(all)*99/100]
	t.Logf("%d deliveries, delay p50 %v, p99 %v, most %v", len(all), p50, p99, all[len(all)-1])
	if p99 > 250*time.Millisecond && !raceEnabled {
		t.Errorf("p99 is %v, not under 250 ms", p99)
	}
}

// crowd is many users.
type crowd struct {
	t       *testing.T
	members []*member
}

// member is one of them. It looks at its lines as they come, and keeps what it must.
type member struct {
	nick     string
	in       *io.PipeWriter
	messages atomic.Int64
	people   atomic.Int64 // how many are in the room, by the lines

	mu     sync.Mutex // guards the fields below
	rest   []byte
	next   map[string]int
	delays []time.Duration
	wrong  string
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

// line takes a line: "[lobby] NICK: @SEQ TIME" is a message of the test.
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
	if err1 != nil || err2 != nil || seq != m.next[who] {
		m.wrong = fmt.Sprintf("%q where message %d of %s was to come", line, m.next[who], who)
	}
	m.next[who] = seq + 1
	m.delays = append(m.delays, now.Sub(time.Unix(0, sent)))
	m.messages.Add(1)
}

// newCrowd starts the users, on all nodes in turn, and waits until each sees all.
func newCrowd(t *testing.T, s []*site, users int) *crowd {
	c := &crowd{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	starting := make(chan struct{}, 32) // at once, as people do not all come in the same moment
	for i := range users {
		r, w := io.Pipe()
		m := &member{nick: fmt.Sprintf("u%d", i), in: w, next: map[string]int{}}
		c.members = append(c.members, m)
		t.Cleanup(func() { _ = w.Close() })
		starting <- struct{}{}
		running.Go(func() {
			err := chat.Run(ctx, chat.Config{
				Runtime: s[i%3].runtime, Groups: s[i%3].groups, Calls: s[i%3].calls, In: r, Out: m, Nick: m.nick, Plain: true,
			})
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", m.nick, err)
			}
		})
		go func() {
			defer func() { <-starting }()
			c.until(func() bool { return m.people.Load() > 0 || ctx.Err() != nil })
		}()
	}
	c.await("all users", func(m *member) bool { return m.people.Load() == int64(users) })
	return c
}

// until waits for a condition, a minute at most.
func (c *crowd) until(holds func() bool) bool {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-look.C {
		if holds() {
			return true
		}
	}
	return false
}

// await waits until something holds for every member.
func (c *crowd) await(what string, holds func(*member) bool) {
	c.t.Helper()
	for _, m := range c.members {
		if !c.until(func() bool { return holds(m) }) {
			c.t.Fatalf("%s: %s has %d people and %d messages", what, m.nick, m.people.Load(), m.messages.Load())
		}
	}
}
