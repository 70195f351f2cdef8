package history

import (
	"context"

	"github.com/nats-io/nats.go"
)

// answers are what comes back for one request. They have a queue that is as long as they may be many: that of a subscription
// without one takes half a MiB.
type answers struct {
	conn  *nats.Conn
	sub   *nats.Subscription
	queue chan *nats.Msg
}

// listen waits for at most n answers. close ends it.
func listen(conn *nats.Conn, subject string, n int) (*answers, error) {
	a := &answers{conn: conn, queue: make(chan *nats.Msg, n+1)} // one that should not come hides none that should
	var err error
	a.sub, err = conn.ChanSubscribe(subject, a.queue)
	return a, err
}

// next blocks until there is an answer, within ctx. That nobody is there to answer is an answer as well.
func (a *answers) next(ctx context.Context) (*nats.Msg, error) {
	select {
	case m := <-a.queue:
		return m, nil
	case <-ctx.Done():
	}
	if a.conn.IsClosed() { // which the queue does not tell
		return nil, nats.ErrConnectionClosed
	}
	return nil, ctx.Err()
}

func (a *answers) close() { _ = a.sub.Unsubscribe() }
