package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// atOnce is how many users of a crowd come at the same moment: people do not all come in one.
	atOnce = 16
	// look is the time between two looks at what is awaited.
	look = time.Millisecond
)

// ErrWrong is the error when a message did not come, came twice, or came before one that was sent earlier.
var ErrWrong = errors.New("messages went wrong")

// Chat is the chat of one user: it reads what the user types from in and prints what is shown to out, until ctx ends.
type Chat func(ctx context.Context, nick string, in io.Reader, out io.Writer) error

// Crowd is some of the users of a room, usually those of one node. Make it with New. Its methods are called one after the
// other; crowds beside each other do not know of each other.
type Crowd struct {
	life    context.Context
	end     context.CancelFunc
	members []*member
	gone    sync.WaitGroup
	failed  atomic.Pointer[error]
}

// New returns a crowd of nobody, whose users stay until ctx ends or Leave is called.
func New(ctx context.Context) *Crowd {
	c := &Crowd{}
	c.life, c.end = context.WithCancel(ctx)
	return c
}

// Enter lets count users enter the room, with nicks of a prefix and a number, and blocks until each of them sees total
// people there. Errors: what a chat returned, and the end of ctx or of the crowd.
func (c *Crowd) Enter(ctx context.Context, prefix string, count, total int, chat Chat) error {
	coming := make(chan struct{}, atOnce)
	for i := range count {
		select {
		case coming <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.life.Done():
			return c.life.Err()
		}
		in, typed := io.Pipe()
		m := &member{nick: fmt.Sprint(prefix, i), typed: typed, next: map[string]int{}}
		c.members = append(c.members, m)
		c.gone.Go(func() {
			if err := chat(c.life, m.nick, in, m); err != nil && c.life.Err() == nil {
				err = fmt.Errorf("%s: %w", m.nick, err)
				c.failed.CompareAndSwap(nil, &err)
			}
		})
		c.gone.Go(func() {
			_ = c.until(c.life, func() bool { return m.people.Load() > 0 }) // Enter meets the same end
			<-coming
		})
	}
	return c.await(ctx, func(m *member) bool { return m.people.Load() == int64(total) })
}

// Speak has the first speakers of the users say count messages in turn, one after each pause, and blocks until every user
// of the crowd has got total messages; other crowds say the rest. It returns how long the messages took on their way to the
// users. It may be called once. Errors: ErrWrong, what a chat returned, and the end of ctx.
func (c *Crowd) Speak(ctx context.Context, speakers, count, total int, pause time.Duration) (*Times, error) {
	speakers = min(speakers, len(c.members))
	pace := time.NewTicker(pause)
	defer pace.Stop()
	for i := range count {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := c.members[i%speakers].say(i/speakers, time.Now()); err != nil {
			return nil, err
		}
	}
	if err := c.await(ctx, func(m *member) bool { return m.messages.Load() >= int64(total) }); err != nil {
		return nil, err
	}
	all := new(Times)
	for _, m := range c.members {
		if err := m.report(all); err != nil {
			return nil, err
		}
		if got := m.messages.Load(); got > int64(total) {
			return nil, fmt.Errorf("%w: %s got %d of %d", ErrWrong, m.nick, got, total)
		}
	}
	return all, nil
}

// Leave ends the chats, and blocks until they are over.
func (c *Crowd) Leave() {
	c.end()
	for _, m := range c.members {
		_ = m.typed.Close()
	}
	c.gone.Wait()
}

// await waits until something holds for all.
func (c *Crowd) await(ctx context.Context, holds func(*member) bool) error {
	for _, m := range c.members {
		if err := c.until(ctx, func() bool { return holds(m) }); err != nil {
			return fmt.Errorf("%s has %d people and %d messages: %w", m.nick, m.people.Load(), m.messages.Load(), err)
		}
	}
	return nil
}

// until waits for a condition, without much load.
func (c *Crowd) until(ctx context.Context, holds func() bool) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !holds() {
		if failed := c.failed.Load(); failed != nil {
			return *failed
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
