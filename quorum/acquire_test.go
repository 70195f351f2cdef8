package quorum

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lossy loses the answer to the next write, once it has had its effect, and lets something happen before anybody knows.
type lossy struct {
	jetstream.JetStream
	then func()
}

func (l *lossy) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := l.JetStream.PublishMsg(ctx, m, opts...)
	if then := l.then; then != nil && err == nil {
		l.then = nil
		then()
		return nil, nats.ErrTimeout
	}
	return ack, err
}

// lostAnswers: a write whose answer is lost has its effect once, whatever others do before its caller looks again, or the
// caller is told that it is not known.
func lostAnswers(t *testing.T, m *mesh) {
	sa, sb := m.open(m.Node(1)), m.open(m.Node(2), WithLease(time.Minute))
	loss := &lossy{JetStream: sa.js}
	sa.js = loss
	held := func(t *testing.T, key string) *Lease {
		t.Helper()
		l, err := sb.Acquire(m.ctx, key, []byte("1"))
		fatal(t, err)
		return l
	}
	is := func(t *testing.T, key, want string) {
		t.Helper()
		if h, ok, err := sb.LookupConfirmed(m.ctx, key); err != nil || !ok || string(h.Value) != want {
			t.Errorf("%q, %v, %v, want %q", h.Value, ok, err, want)
		}
	}
	amend := func(key string) (Holder, error) {
		h, _, err := sa.Amend(m.ctx, key, func(v []byte) ([]byte, error) { return append(v, 'x'), nil })
		return h, err
	}
	t.Run("amend_and_nothing_else", func(t *testing.T) {
		l := held(t, "a")
		loss.then = func() {}
		if h, err := amend("a"); err != nil || string(h.Value) != "1x" || h.Token != l.Token() {
			t.Errorf("%+v, %v", h, err)
		}
		is(t, "a", "1x")
	})
	t.Run("amend_then_renewal", func(t *testing.T) {
		l := held(t, "b")
		loss.then = func() {
			if r := l.renew(time.Now().Add(time.Minute)); r.err != nil {
				t.Error(r.err)
			}
		}
		if h, err := amend("b"); err != nil || string(h.Value) != "1x" || h.Token != l.Token() {
			t.Errorf("%+v, %v", h, err)
		}
		is(t, "b", "1x")
	})
	t.Run("amend_then_update", func(t *testing.T) {
		l := held(t, "c")
		loss.then = func() {
			if err := l.Update(m.ctx, []byte("2")); err != nil {
				t.Error(err)
			}
		}
		if _, err := amend("c"); !errors.Is(err, ErrNoQuorum) {
			t.Error(err)
		}
		is(t, "c", "2")
	})
	t.Run("evict_then_acquire", func(t *testing.T) {
		held(t, "d")
		var next *Lease
		loss.then = func() { next = held(t, "d") }
		if _, err := sa.Evict(m.ctx, "d", 0); !errors.Is(err, ErrNoQuorum) {
			t.Error(err)
		}
		if is(t, "d", "1"); !next.Held() {
			t.Error("it was evicted twice")
		}
	})
	t.Run("acquire_then_amend", func(t *testing.T) {
		loss.then = func() {
			if _, _, err := sb.Amend(m.ctx, "e", func(v []byte) ([]byte, error) { return append(v, 'y'), nil }); err != nil {
				t.Error(err)
			}
		}
		l, err := sa.Acquire(m.ctx, "e", []byte("1"))
		fatal(t, err)
		is(t, "e", "1y")
		fatal(t, l.Release(m.ctx))
	})
}
