package benchmark

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
)

// rawSite is a plain NATS server with one connection in the same process: the same work with nats.go alone.
type rawSite struct {
	broker *broker.Broker
	conn   *nats.Conn
	got    atomic.Int64
}

// rawWish asks a worker for a raw server.
type rawWish struct {
	Routes []string
	// Sinks is how many subscriptions count what comes on the subject sink.
	Sinks int
}

// rawBatch is how many deliveries a worker acknowledges at a time, rawWindow how many may be under way to it: without a
// window nats.go loses most of a burst.
const rawBatch, rawWindow = 5_000, 60_000

func startRaw(ctx context.Context, j job, routes []string) (*rawSite, error) {
	b, err := broker.Start(ctx, broker.Config{
		Mesh: "raw", ServerName: j.Name, Plaintext: j.Plaintext, Cookie: j.Cookie, Routes: routes,
	})
	if err != nil {
		return nil, err
	}
	conn, err := b.Connect(broker.App)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &rawSite{broker: b, conn: conn}, nil
}

// startRaw starts the raw server of a worker; it answers echo and counts what comes on sink.
func (s *site) startRaw(w rawWish) (addr string, err error) {
	if s.raw, err = startRaw(s.node.Context(), s.job, w.Routes); err != nil {
		return "", err
	}
	if err := s.raw.count(w.Sinks, "acked."+s.job.Name); err != nil {
		return "", err
	}
	if _, err = s.raw.conn.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		return "", err
	}
	// Whoever gets an answer to this knows that the subscriptions made before have arrived, too.
	if _, err = s.raw.conn.Subscribe("ready."+s.job.Name, func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		return "", err
	}
	return s.raw.broker.Addr(), s.raw.conn.Flush()
}

// count subscribes to sink several times, and acknowledges what has come in batches.
func (r *rawSite) count(sinks int, subject string) error {
	for range sinks {
		_, err := r.conn.Subscribe("sink", func(*nats.Msg) {
			if n := r.got.Add(1); n%rawBatch == 0 {
				_ = r.conn.Publish(subject, binary.LittleEndian.AppendUint64(nil, uint64(n)))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *rawSite) close() {
	if r != nil {
		r.conn.Close()
		_ = r.broker.Close()
	}
}

// startRaw starts raw servers here and at the workers, and waits until they know each other.
func (t *turn) startRaw(sinks int, workers ...string) (err error) {
	if t.here.raw, err = startRaw(t.ctx, t.job, nil); err != nil {
		return err
	}
	routes := []string{t.here.raw.broker.Addr()}
	for _, w := range workers {
		addr, err := ask[rawWish, string](t, w, "raw", rawWish{Routes: routes, Sinks: sinks})
		if err != nil {
			return err
		}
		routes = append(routes, addr)
	}
	for _, w := range workers {
		for end := time.Now().Add(patience); ; {
			if _, err = t.here.raw.conn.Request("ready."+w, nil, time.Second); err == nil {
				break
			}
			if time.Now().After(end) {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// rawRequests returns a function that sends a request to the worker b, and waits for the answer.
func (t *turn) rawRequests() (func() error, error) {
	if err := t.startRaw(0, "b@127.0.0.1"); err != nil {
		return nil, err
	}
	payload := make([]byte, payloadSize)
	return func() error {
		_, err := t.here.raw.conn.Request("echo", payload, patience)
		return err
	}, nil
}

// rawFlow publishes to sinks within the window of each of them.
type rawFlow struct {
	*rawSite
	each  int64 // deliveries of one message at one site
	sent  int64
	acked []*atomic.Int64
	wake  chan struct{}
}

// flow starts to listen to the acknowledgements of the workers.
func (t *turn) flow(each int, workers ...string) (*rawFlow, error) {
	f := &rawFlow{rawSite: t.here.raw, each: int64(each), wake: make(chan struct{}, 1)}
	for _, w := range workers {
		acked := new(atomic.Int64)
		f.acked = append(f.acked, acked)
		_, err := f.conn.Subscribe("acked."+w, func(m *nats.Msg) {
			// Several goroutines of the worker send these, so that one may overtake another.
			n := int64(binary.LittleEndian.Uint64(m.Data))
			for old := acked.Load(); n > old && !acked.CompareAndSwap(old, n); old = acked.Load() {
			}
			select {
			case f.wake <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return f, f.conn.Flush()
}

// behind is how many deliveries the slowest site has not acknowledged.
func (f *rawFlow) behind() (n int64) {
	for _, a := range f.acked {
		n = max(n, f.sent*f.each-a.Load())
	}
	return n
}

// run publishes for as long as d, waits until all but less than a batch has arrived, and returns deliveries a second at
// one site.
func (f *rawFlow) run(d time.Duration, payload []byte) (perSecond float64, err error) {
	begin, before := time.Now(), f.sent
	for time.Since(begin) < d {
		for range 16 {
			if err := f.conn.Publish("sink", payload); err != nil {
				return 0, err
			}
			f.sent++
		}
		if err := f.await(rawWindow); err != nil {
			return 0, err
		}
	}
	if err := f.await(rawBatch); err != nil {
		return 0, err
	}
	return float64((f.sent-before)*f.each) / time.Since(begin).Seconds(), nil
}

func (f *rawFlow) await(limit int64) error {
	for f.behind() >= limit {
		select {
		case <-f.wake:
		case <-time.After(patience):
			return errLost
		}
	}
	return nil
}
