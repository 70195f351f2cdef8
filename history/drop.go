package history

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Drop takes the entries of a topic up to a place, that one included, out of the log for everybody. It blocks within ctx.
// Errors: ErrNoStores, ErrUnavailable, ErrBadArgument, ErrClosed.
func (l *Log) Drop(ctx context.Context, topic string, place uint64) error {
	if err := checkTopic(topic); err != nil {
		return err
	}
	return l.ask(ctx, func(ctx context.Context, _ *nats.Conn, stream jetstream.Stream) error {
		if place == 0 {
			return nil
		}
		return stream.Purge(ctx, jetstream.WithPurgeSubject(l.subject(topic)), jetstream.WithPurgeSequence(place+1))
	})
}
