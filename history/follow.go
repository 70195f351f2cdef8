package history

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// followPage is how many entries Follow asks for at once.
	followPage = 256
	// followPause is how long Follow waits for news before it asks: news are only a hint, and may get lost.
	followPause = time.Second
)

// Follow yields the entries of a topic behind a place (zero: from the beginning), and then those that come, as they come,
// until ctx ends: every one, once, in order. While the stores are away it waits for them. It ends with an error that is
// not ctx's only when nothing more can come: ErrBadArgument, ErrClosed.
func (l *Log) Follow(ctx context.Context, topic string, place uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := checkTopic(topic); err != nil {
			yield(Entry{}, err)
			return
		}
		hint := hints{l: l, subject: l.subject(topic), news: make(chan struct{}, 1)}
		defer hint.end()
		for {
			hint.begin()
			page, err := l.After(ctx, topic, place, followPage)
			switch {
			case ctx.Err() != nil:
				yield(Entry{}, ctx.Err())
				return
			case errors.Is(err, ErrClosed):
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				place = e.Seq
			}
			if len(page) == 0 || err != nil {
				hint.wait(ctx)
			}
		}
	}
}

// hints tells that somebody has appended to a topic.
type hints struct {
	l       *Log
	subject string
	sub     *nats.Subscription
	news    chan struct{} // holds one, which stands for any number
}

// begin subscribes, once that is possible.
func (h *hints) begin() {
	if h.sub != nil && h.sub.IsValid() {
		return
	}
	if conn, _, err := h.l.stores(); err == nil {
		h.sub, _ = conn.Subscribe(h.subject, h.hint) // without it Follow asks now and then
	}
}

func (h *hints) hint(*nats.Msg) {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// wait waits for a hint, or for a while.
func (h *hints) wait(ctx context.Context) {
	limit := time.NewTimer(followPause)
	defer limit.Stop()
	select {
	case <-h.news:
		// The record is on its way to the stores at the same time, and others may follow it: they are asked a moment later.
		limit.Reset(pause)
		select {
		case <-limit.C:
		case <-ctx.Done():
		}
	case <-limit.C:
	case <-ctx.Done():
	case <-h.l.ctx.Done():
	}
}

func (h *hints) end() {
	if h.sub != nil {
		_ = h.sub.Unsubscribe()
	}
}
