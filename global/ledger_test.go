package global

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// ledgers are two registries in quorum mode on a mesh of three stores, whose insides a test may touch.
type ledgers struct {
	t     *testing.T
	ctx   context.Context
	rt    [2]*process.Runtime
	r     [2]*Registry
	store [2]*quorum.Store
}

func newLedgers(t *testing.T) *ledgers {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	m := meshtest.New(t, 3, meshtest.Stores(3))
	l := &ledgers{t: t, ctx: ctx}
	for i := range l.r {
		var err error
		l.rt[i], err = process.New(m.Node(i + 1))
		l.must(err)
		l.store[i], err = quorum.Open(ctx, m.Node(i+1), quorum.WithLease(2*time.Second))
		l.must(err)
		t.Cleanup(func() { _ = l.store[i].Close() })
		l.r[i], err = New(l.rt[i], Quorum(l.store[i]))
		l.must(err)
	}
	return l
}

func (l *ledgers) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *ledgers) idle(i int) process.PID {
	return l.rt[i].Spawn(func(self *process.Process) error {
		<-self.Context().Done()
		return nil
	})
}

// free waits until the stores have nobody under a name.
func (l *ledgers) free(name string) {
	l.t.Helper()
	meshtest.Eventually(l.t, name+" is free", func() bool {
		_, ok, err := l.r[1].WhereisConfirmed(l.ctx, name)
		return err == nil && !ok
	})
}

// TestLedger is what happens to names in quorum mode when things come at awkward times.
func TestLedger(t *testing.T) {
	t.Parallel()
	l := newLedgers(t)
	a, b := l.r[0], l.r[1]

	t.Run("another_id", func(t *testing.T) { // is written into the bucket
		p := l.idle(0)
		l.must(a.Register(l.ctx, "id", p))
		_, _, err := l.store[1].Amend(l.ctx, a.ledger.names+"id", func([]byte) ([]byte, error) {
			return (&Entry{PID: process.PID{ID: p.ID + 1000}}).record()
		})
		l.must(err)
		l.must(a.Sync(l.ctx))
		l.rt[0].Exit(p, process.ErrKill)
		l.free("id")
	})
	t.Run("its_own_name_again", func(t *testing.T) {
		p := l.idle(0)
		l.must(a.Register(l.ctx, "again", p))
		l.must(a.ReRegister(l.ctx, "again", p))
		a.mu.Lock()
		watched := a.watches[p.ID] != nil
		a.mu.Unlock()
		if !watched {
			t.Fatal("nobody waits for its end")
		}
		l.rt[0].Exit(p, process.ErrKill)
		l.free("again")
	})
	t.Run("taken_before_the_answer", func(t *testing.T) {
		p, q, g := l.idle(0), l.idle(1), a.ledger
		e := Entry{Name: "early", PID: p, Resolver: ResolveDefault}
		for _, lose := range []func(*tenure){
			func(*tenure) { a.exited([]uint64{p.ID}) },
			func(t *tenure) { g.over(t) },
		} {
			lease, err := l.store[0].Acquire(l.ctx, "not watched", nil)
			l.must(err)
			l.must(g.claim(&e, false))
			value, err := (&Entry{PID: q}).record()
			l.must(err)
			holder := quorum.Holder{Node: q.Node, Incarnation: q.Incarnation, Token: lease.Token() + 1, Value: value}
			g.told(quorum.Change{Kind: quorum.Held, Key: g.names + "early", Holder: holder, Revision: lease.Token() + 1})
			_, err = g.claimed(e, lease, nil)
			l.must(err)
			a.mu.Lock()
			mine := g.own["early"]
			a.mu.Unlock()
			lose(mine)
			if pid, _ := a.Whereis("early"); pid != q {
				t.Errorf("%v, want %v", pid, q)
			}
			l.must(lease.Release(l.ctx))
			g.told(quorum.Change{Kind: quorum.Freed, Key: g.names + "early", Revision: lease.Token() + 2})
		}
	})
	t.Run("nothing_is_kept_of_what_is_gone", func(t *testing.T) {
		p, q, g := l.idle(0), l.idle(0), a.ledger
		for i := range 20 {
			name := "gone-" + strconv.Itoa(i)
			l.must(a.Unregister(l.ctx, "unknown-"+name))
			l.must(a.Register(l.ctx, name, p))
			l.must(b.Sync(l.ctx))
			l.must(b.Unregister(l.ctx, name))
			l.must(a.Sync(l.ctx)) // which has met the end of the name before
		}
		for i := range 5 { // whose end may be met before anything else of them
			name := "soon-" + strconv.Itoa(i)
			l.must(a.Register(l.ctx, name, p))
			l.must(a.Unregister(l.ctx, name))
		}
		l.must(a.Register(l.ctx, "stays", q))
		meshtest.Eventually(t, "all are forgotten", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(g.seen) == len(g.table) && len(g.recent) <= len(g.own) && len(g.due) == 0 && len(g.asking) == 0
		})
	})
	t.Run("an_answer_that_the_watch_does_not_bear_out", func(t *testing.T) {
		g, q := a.ledger, l.idle(1)
		value, err := (&Entry{PID: q}).record()
		l.must(err)
		l.must(b.Register(l.ctx, "true", q))
		e, ok, err := a.LookupConfirmed(l.ctx, "true")
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		holder := quorum.Holder{Node: q.Node, Incarnation: q.Incarnation, Value: value}
		for i, later := range []func(name string, revision uint64){
			func(string, uint64) {},
			func(_ string, at uint64) { g.told(quorum.Change{Kind: quorum.Synced, Revision: at + 1}) },
			func(_ string, at uint64) {
				g.told(quorum.Change{Kind: quorum.Held, Key: "global/another", Revision: at + 1})
			},
			func(name string, at uint64) {
				g.told(quorum.Change{Kind: quorum.Freed, Key: g.names + name, Revision: at - 1, Missed: true})
			},
		} {
			// As if the process had ended, and the mark of that had come and gone, while the watch was away.
			name, at := "stale-"+strconv.Itoa(i), e.Version.Clock+uint64(1000*(i+1))
			resolved := func(name string) process.PID { pid, _ := a.Whereis(name); return pid }
			holder.Token = at
			g.follow(name, holder, at)
			if resolved(name) != q {
				t.Fatal("not as it should begin")
			}
			holder.Token = e.Version.Clock
			g.follow("true", holder, holder.Token)
			later(name, at)
			if i != 2 { // where what was told is enough
				g.told(quorum.Change{Kind: quorum.Synced})
			}
			meshtest.Eventually(t, "the stale one is gone", func() bool { return resolved(name).IsZero() })
			if resolved("true") != q {
				t.Error("the true one is gone")
			}
		}
	})
	t.Run("metadata_of_what_is_gone_meanwhile", func(t *testing.T) { // is no news of it
		p := l.idle(1)
		l.must(b.Register(l.ctx, "meta", p))
		l.must(a.Sync(l.ctx))
		l.must(a.ledger.expect("meta"))
		h, revision, err := l.store[0].Amend(l.ctx, a.ledger.names+"meta", func(v []byte) ([]byte, error) { return v, nil })
		l.must(err)
		l.must(b.Unregister(l.ctx, "meta"))
		l.must(a.Sync(l.ctx))
		a.ledger.follow("meta", h, revision)
		a.ledger.expected("meta")
		if pid, ok := a.Whereis("meta"); ok {
			t.Errorf("still %v", pid)
		}
	})
	t.Run("exit_while_closing", func(t *testing.T) {
		p := l.idle(1)
		l.must(b.Register(l.ctx, "closing", p))
		b.ledger.giveUpAll()
		b.exited([]uint64{p.ID})
		if len(b.ledger.procs) != 0 || len(b.watches) != 0 {
			t.Errorf("kept: %v, %d watched", b.ledger.procs, len(b.watches))
		}
	})
}
