package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kith-mesh/kith/meshtest"
)

// diary keeps what a watch tells.
type diary struct {
	mu   sync.Mutex // guards the field below
	list []Change
}

func (d *diary) tell(c Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, c)
}

func (d *diary) has(k ChangeKind) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.list, func(c Change) bool { return c.Kind == k })
}

// story is what was told of one key, without renewals.
func (d *diary) story(key string) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.list {
		if c.Key != key {
			continue
		}
		line := fmt.Sprint(c.Kind)
		switch {
		case c.Kind == Held:
			line += fmt.Sprintf(" %s %d", c.Holder.Value, len(c.Holder.Members))
		case c.Expired:
			line += " expired"
		}
		if c.Why != "" {
			line += ": " + c.Why
		}
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	return lines
}

// goesOn waits until the stores have agreed to a renewal that was asked for after now.
func goesOn(t *testing.T, l *Lease) {
	t.Helper()
	now := time.Since(l.s.began)
	meshtest.Eventually(t, "a renewal, or the end", func() bool {
		return time.Duration(l.until.Load()) > now+l.time-l.margin() || !l.Held()
	})
	if !l.Held() {
		t.Error(context.Cause(l.Context()))
	}
}

// TestWatch follows keys through all that can happen to them, on another node than the one that changes them.
func TestWatch(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	sa, sb := m.open(m.Start("a@127.0.0.1"), WithLease(2*time.Second)), m.open(m.Start("b@127.0.0.1"), WithLease(2*time.Second))
	early, err := sa.Acquire(m.ctx, "w/early", []byte("e"))
	fatal(t, err)
	_, err = sa.Acquire(m.ctx, "other/key", nil)
	fatal(t, err)
	d := &diary{}
	w := sb.Watch("w/", d.tell)
	defer w.Close()
	synced := func(t *testing.T) {
		t.Helper()
		fatal(t, w.Sync(m.ctx))
	}
	same := func(t *testing.T, key string, want ...string) {
		t.Helper()
		synced(t)
		if got := d.story(key); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}

	t.Run("snapshot", func(t *testing.T) {
		same(t, "w/early", "held e 0")
		same(t, "other/key")
		if !d.has(Synced) {
			t.Error("it is not synced")
		}
	})
	t.Run("one-key", func(t *testing.T) {
		only := &diary{}
		one := sb.WatchKey("w/one", only.tell)
		defer one.Close()
		fatal(t, one.Sync(m.ctx))
		l, err := sa.Acquire(m.ctx, "w/one", []byte("1"))
		fatal(t, err)
		fatal(t, one.Sync(m.ctx))
		other, err := sa.Acquire(m.ctx, "w/one/more", []byte("2"))
		fatal(t, err)
		fatal(t, l.Release(m.ctx))
		fatal(t, other.Release(m.ctx))
		fatal(t, one.Sync(m.ctx))
		if got := only.story("w/one"); !slices.Equal(got, []string{"held 1 0", "freed"}) {
			t.Errorf("%q", got)
		}
		if got := only.story("w/one/more"); len(got) != 0 {
			t.Errorf("of another key: %q", got)
		}
	})
	t.Run("seize-amend-evict", func(t *testing.T) {
		l, err := sb.Seize(m.ctx, "w/early", []byte("s"))
		fatal(t, err)
		if l.Token() <= early.Token() {
			t.Errorf("token %d after %d", l.Token(), early.Token())
		}
		synced(t) // what is changed again before it was told is not told
		h, _, err := sa.Amend(m.ctx, "w/early", func(v []byte) ([]byte, error) { return append(v, 'x'), nil })
		fatal(t, err)
		synced(t)
		if h.Token != l.Token() || string(h.Value) != "sx" {
			t.Errorf("%+v", h)
		}
		<-early.Context().Done()
		if !errors.Is(context.Cause(early.Context()), ErrLeaseLost) {
			t.Error(context.Cause(early.Context()))
		}
		goesOn(t, l) // with what the other has written
		if _, err := sa.Evict(m.ctx, "w/early", early.Token()); err != nil || !l.Held() {
			t.Error("evicted by the token of an earlier lease", err)
		}
		_, err = sa.Evict(m.ctx, "w/early", 0)
		fatal(t, err)
		_, err = sa.Evict(m.ctx, "w/early", 0)
		fatal(t, err)
		if _, _, err := sa.Amend(m.ctx, "w/early", nil); !errors.Is(err, ErrNotHeld) {
			t.Error(err)
		}
		<-l.Context().Done()
		if l.Held() || !errors.Is(context.Cause(l.Context()), ErrLeaseLost) {
			t.Error(context.Cause(l.Context()))
		}
		same(t, "w/early", "held e 0", "held s 0", "held sx 0", "freed")
	})
	t.Run("shared", func(t *testing.T) {
		l1, err := sa.AcquireShared(m.ctx, "w/s", "g", []byte("1"))
		fatal(t, err)
		synced(t)
		l2, err := sb.AcquireShared(m.ctx, "w/s", "g", []byte("2"))
		fatal(t, err)
		synced(t)
		if l1.Token() != l2.Token() {
			t.Errorf("tokens %d and %d", l1.Token(), l2.Token())
		}
		for _, s := range []*Store{sa, sb} {
			if _, err := s.AcquireShared(m.ctx, "w/s", "h", nil); !errors.Is(err, ErrTaken) {
				t.Error(err)
			}
		}
		if _, err := sa.AcquireShared(m.ctx, "w/s", "", nil); !errors.Is(err, ErrBadKey) {
			t.Error(err)
		}
		fatal(t, l1.ReleaseFor(m.ctx, "one"))
		synced(t)
		goesOn(t, l2) // though the other one has ended
		fatal(t, l2.ReleaseFor(m.ctx, "two"))
		same(t, "w/s", "held 1 1", "held 1 2", "held 1 1", "freed: two")
	})
	t.Run("expired", func(t *testing.T) {
		l, err := sa.Acquire(m.ctx, "w/x", []byte("x"))
		fatal(t, err)
		l.Abandon()
		if l.Held() {
			t.Error("it is held")
		}
		meshtest.Eventually(t, "it is told that it has expired", func() bool { return slices.Contains(d.story("w/x"), "freed expired") })
		next, err := sb.AcquireWait(m.ctx, "w/x", []byte("y"))
		fatal(t, err)
		synced(t)
		next.ReleaseSoon("")
		<-next.done
		fatal(t, next.Release(m.ctx))
		same(t, "w/x", "held x 0", "freed expired", "held y 0", "freed")
	})
	t.Run("begins-anew", func(t *testing.T) {
		l, err := sa.Acquire(m.ctx, "w/missed", []byte("1"))
		fatal(t, err)
		kept, err := sa.Acquire(m.ctx, "w/kept", []byte("1"))
		fatal(t, err)
		synced(t)
		names := sb.stream.ConsumerNames(m.ctx)
		fatal(t, l.Release(m.ctx))
		synced(t)
		for name := range names.Name() { // the stores forget the watch
			fatal(t, sb.stream.DeleteConsumer(m.ctx, name))
		}
		fatal(t, kept.Release(m.ctx))
		meshtest.Eventually(t, "even the marks of the releases are gone", func() bool {
			for _, key := range []string{"w/missed", "w/kept"} {
				if st, err := sa.read(m.ctx, key); err != nil || st.revision != 0 {
					return false
				}
			}
			return true
		})
		same(t, "w/kept", "held 1 0", "freed")
	})
	t.Run("bad-record", func(t *testing.T) {
		_, err := sa.js.Publish(m.ctx, subject("w/bad"), []byte("no record"))
		fatal(t, err)
		l, err := sa.Acquire(m.ctx, "w/good", []byte("1"))
		fatal(t, err)
		same(t, "w/bad")
		same(t, "w/good", "held 1 0")
		for what, f := range map[string]func() error{
			"Acquire":         func() error { _, err := sb.Acquire(m.ctx, "w/bad", nil); return err },
			"AcquireWait":     func() error { _, err := sb.AcquireWait(m.ctx, "w/bad", nil); return err },
			"LookupConfirmed": func() error { _, _, err := sb.LookupConfirmed(m.ctx, "w/bad"); return err },
			"Evict":           func() error { _, err := sb.Evict(m.ctx, "w/bad", 1); return err },
		} {
			if err := f(); !errors.Is(err, ErrBadRecord) {
				t.Errorf("%s: %v", what, err)
			}
		}
		meshtest.Eventually(t, "the nearest store knows of it", func() bool {
			_, _, err := sb.Lookup(m.ctx, "w/bad")
			return errors.Is(err, ErrBadRecord)
		})
		if got := sb.Stats().BadRecords; got != 1 {
			t.Errorf("%d bad records are counted", got)
		}
		_, err = sa.js.Publish(m.ctx, subject("w/good"), []byte("no record"))
		fatal(t, err)
		if err := l.Update(m.ctx, []byte("2")); !errors.Is(err, ErrLeaseLost) || !errors.Is(err, ErrBadRecord) || l.Held() {
			t.Errorf("%v, held: %v", err, l.Held())
		}
		same(t, "w/good", "held 1 0", "freed")
		fatal(t, sa.stream.Purge(m.ctx, jetstream.WithPurgeSubject(subject("w/bad"))))
		l, err = sb.Acquire(m.ctx, "w/bad", []byte("2"))
		fatal(t, err)
		fatal(t, l.Release(m.ctx))
		same(t, "w/bad", "held 2 0", "freed")
		if a, b := sa.Stats(), sb.Stats(); a.Renewed == 0 || a.Lost == 0 || b.Anew == 0 {
			t.Errorf("%+v, %+v", a, b)
		}
	})
	t.Run("closed", func(t *testing.T) {
		fatal(t, sb.Close())
		if err := w.Sync(m.ctx); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
