package history_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/history"
	"github.com/kith-mesh/kith/internal/leak"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leak.Stores()...) }

// mesh is three store nodes, and the ordinary ones that use them.
type mesh struct {
	*meshtest.Mesh
	t   *testing.T
	ctx context.Context
}

// newMesh starts the stores.
func newMesh(t *testing.T) *mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return &mesh{meshtest.New(t, 3, meshtest.Stores(3)), t, ctx}
}

func open(t *testing.T, n *node.Node, cfg history.Config) *history.Log {
	t.Helper()
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 10 << 20 // the stores of a test have little room
	}
	l, err := history.New(n, cfg)
	fatal(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// record makes the i-th record of a topic.
func record(topic string, i int) history.Record {
	return history.Record{Topic: topic, ID: fmt.Sprintf("%x-%d", topic, i), Data: fmt.Append(nil, i)}
}

// fill appends the records of a topic up to a number.
func (m *mesh) fill(l *history.Log, topic string, from, to int) {
	m.t.Helper()
	for from < to {
		var records []history.Record
		for ; from < to && len(records) < 500; from++ {
			records = append(records, record(topic, from))
		}
		fatal(m.t, l.Append(m.ctx, records...))
	}
}

// texts are the data of entries.
func texts(page []history.Entry) (out []string) {
	for _, e := range page {
		out = append(out, string(e.Data))
	}
	return out
}

// numbers are the texts from one number to the one before another.
func numbers(from, to int) (out []string) {
	for i := max(0, from); i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestLog(t *testing.T) {
	m := newMesh(t)
	a, b := m.Start("a@127.0.0.1"), m.Start("b@127.0.0.1")
	t.Run("made_by_all_at_once", func(t *testing.T) {
		var wg sync.WaitGroup
		for _, n := range []*node.Node{a, b, m.Node(2)} {
			l := open(t, n, history.Config{Name: "at-once"})
			wg.Go(func() {
				if err := l.Ready(m.ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("order_from_the_first", func(t *testing.T) { // the first records come while the stores make the log
		for i := range 15 {
			cfg := history.Config{Name: fmt.Sprint("new", i), MaxBytes: 1 << 16}
			m.fill(open(t, b, cfg), "x", 0, 100)
			page, err := open(t, a, cfg).AfterConfirmed(m.ctx, "x", 0, 100)
			fatal(t, err)
			if !slices.Equal(texts(page), numbers(0, 100)) {
				t.Errorf("read %q", texts(page))
			}
		}
	})
	t.Run("pages", func(t *testing.T) { m.pages(t, a, b) })
	t.Run("kept_once", func(t *testing.T) {
		l := open(t, a, history.Config{Name: "once"})
		for range 3 {
			fatal(t, l.Append(m.ctx, record("x", 0), record("x", 1), record("x", 0), record("x", 2)))
		}
		meshtest.Eventually(t, "each is kept once", func() bool {
			page, err := open(t, b, history.Config{Name: "once"}).Last(m.ctx, "x", 10)
			return err == nil && slices.Equal(texts(page), numbers(0, 3))
		})
	})
	t.Run("behind_all", func(t *testing.T) {
		l := open(t, a, history.Config{Name: "behind"})
		m.fill(l, "x", 0, 3)
		for _, read := range []func(context.Context, string, uint64, int) ([]history.Entry, error){l.After, l.AfterConfirmed} {
			if page, err := read(m.ctx, "x", math.MaxUint64, 10); err != nil || len(page) > 0 {
				t.Errorf("behind the last place are %d entries, %v", len(page), err)
			}
		}
	})
	t.Run("cheap", func(t *testing.T) { // by what a call allocates, the stores' part included: they are in this process
		l := open(t, a, history.Config{Name: "cheap"})
		m.fill(l, "x", 0, 10)
		const calls, most = 50, 256 << 10
		for what, call := range map[string]func(i int) error{
			"read":   func(int) error { _, err := l.Last(m.ctx, "x", 1); return err },
			"append": func(i int) error { return l.Append(m.ctx, record("y", i)) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range calls {
				fatal(t, call(i))
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / calls; got > most {
				t.Errorf("%s: %d KiB per call", what, got>>10)
			}
		}
	})
	t.Run("retention", func(t *testing.T) { m.retention(t, a) })
	t.Run("drop", func(t *testing.T) {
		l := open(t, a, history.Config{Name: "drop"})
		m.fill(l, "x", 0, 10)
		m.fill(l, "y", 0, 10)
		var page []history.Entry
		meshtest.Eventually(t, "all are there", func() (ok bool) {
			page, _ = l.Last(m.ctx, "x", 100)
			return len(page) == 10
		})
		fatal(t, l.Drop(m.ctx, "x", page[6].Seq))
		meshtest.Eventually(t, "three are left", func() bool {
			page, err := l.Last(m.ctx, "x", 100)
			return err == nil && slices.Equal(texts(page), numbers(7, 10))
		})
		page, err := l.Last(m.ctx, "y", 100)
		if err != nil || len(page) != 10 {
			t.Errorf("another topic has %d entries, %v", len(page), err)
		}
		fatal(t, l.Drop(m.ctx, "nobody", 100))
	})
	t.Run("confirmed", func(t *testing.T) { // a box that its readers empty, one here and one there
		logs := []*history.Log{open(t, a, history.Config{Name: "box"}), open(t, b, history.Config{Name: "box"})}
		for i := range 60 {
			writer, reader, next := logs[i%2], logs[i/2%2], logs[(i/2+1)%2]
			m.fill(writer, "x", 3*i, 3*i+3)
			page, err := reader.AfterConfirmed(m.ctx, "x", 0, 2)
			fatal(t, err)
			if !slices.Equal(texts(page), numbers(3*i, 3*i+2)) || page[0].ID == "" || page[0].Topic != "x" || time.Since(page[0].Time) > time.Minute {
				t.Fatalf("read %+v", page)
			}
			rest, err := reader.AfterConfirmed(m.ctx, "x", page[1].Seq, 10)
			fatal(t, err)
			if !slices.Equal(texts(rest), numbers(3*i+2, 3*i+3)) {
				t.Fatalf("read %+v", rest)
			}
			fatal(t, reader.Drop(m.ctx, "x", rest[0].Seq))
			if again, err := next.AfterConfirmed(m.ctx, "x", 0, 10); err != nil || len(again) > 0 {
				t.Fatalf("dropped and read again: %+v, %v", again, err)
			}
		}
	})
	t.Run("follow", func(t *testing.T) { m.follow(t, a, b) })
	t.Run("deleted", func(t *testing.T) { // by somebody outside: the next call makes it anew
		l := open(t, a, history.Config{Name: "deleted"})
		m.fill(l, "x", 0, 3)
		conn, js, err := b.Stores()
		fatal(t, err)
		defer conn.Close()
		fatal(t, js.DeleteStream(m.ctx, "kith_log_deleted"))
		m.fill(l, "x", 3, 4)
		meshtest.Eventually(t, "the new one is there", func() bool {
			page, err := l.Last(m.ctx, "x", 10)
			return err == nil && slices.Equal(texts(page), numbers(3, 4))
		})
		fatal(t, js.DeleteStream(m.ctx, "kith_log_deleted"))
		fatal(t, l.Drop(m.ctx, "x", 1))
	})
	t.Run("closed", func(t *testing.T) {
		l := open(t, a, history.Config{Name: "closed"})
		m.fill(l, "x", 0, 1)
		got := make(chan error, 1)
		go func() {
			for _, err := range l.Follow(m.ctx, "x", 1) {
				got <- err
			}
		}()
		fatal(t, l.Close())
		fatal(t, l.Close())
		if err := <-got; !errors.Is(err, history.ErrClosed) {
			t.Errorf("following: %v", err)
		}
		if err := l.Append(m.ctx, record("x", 1)); !errors.Is(err, history.ErrClosed) || !errors.Is(err, node.ErrClosed) {
			t.Errorf("appending: %v", err)
		}
	})
	t.Run("store_restarts", func(t *testing.T) { m.restart(t, a, b) })
}

// pages compares pages of topics, one of them rare among the others, with what was appended.
func (m *mesh) pages(t *testing.T, a, b *node.Node) {
	l := open(t, a, history.Config{Name: "pages"})
	counts := map[string]int{"often": 0, "rare": 0, "any \x00 bytes é.*>": 0}
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		topic := []string{"often", "often", "often", "any \x00 bytes é.*>", "rare"}[r.IntN(5)]
		n := 1 + r.IntN(60)
		if topic == "rare" {
			n = 1 + r.IntN(2)
		}
		m.fill(l, topic, counts[topic], counts[topic]+n)
		counts[topic] += n
	}
	l = open(t, b, history.Config{Name: "pages"})
	for topic, count := range counts {
		var all []history.Entry
		meshtest.Eventually(t, "all are there", func() bool {
			all, _ = l.Last(m.ctx, topic, history.MaxPage)
			return len(all) == count
		})
		if !slices.Equal(texts(all), numbers(0, count)) || all[0].Topic != topic || all[0].ID != record(topic, 0).ID ||
			time.Since(all[0].Time).Abs() > time.Minute {
			t.Fatalf("%q begins with %+v and holds %q", topic, all[0], texts(all))
		}
		for range 60 {
			n, at := 1+r.IntN(40), r.IntN(count+1)
			end := uint64(0)
			if at < count {
				end = all[at].Seq
			}
			page, err := l.Before(m.ctx, topic, end, n)
			if err != nil || !slices.Equal(texts(page), numbers(at-n, at)) {
				t.Fatalf("%q: %d before %d: %q, %v", topic, n, at, texts(page), err)
			}
			if at == count {
				continue
			}
			page, err = l.After(m.ctx, topic, all[at].Seq, n)
			if err != nil || !slices.Equal(texts(page), numbers(at+1, min(count, at+1+n))) {
				t.Fatalf("%q: %d after %d: %q, %v", topic, n, at, texts(page), err)
			}
		}
	}
	for _, end := range []uint64{0, 1, 1 << 40} {
		if page, err := l.Before(m.ctx, "nobody", end, 10); err != nil || len(page) != 0 {
			t.Errorf("an empty topic has %q, %v", texts(page), err)
		}
	}
}

func (m *mesh) retention(t *testing.T, n *node.Node) {
	few := open(t, n, history.Config{Name: "few", MaxEntries: 10})
	m.fill(few, "x", 0, 50)
	m.fill(few, "y", 0, 5)
	small := open(t, n, history.Config{Name: "small", MaxBytes: 64 << 10})
	for i := range 20 {
		r := record("x", i)
		r.Data = append(r.Data, strings.Repeat(" ", 10_000)...)
		fatal(t, small.Append(m.ctx, r))
	}
	short := open(t, n, history.Config{Name: "short", MaxAge: time.Second})
	m.fill(short, "x", 0, 5)
	last := func(l *history.Log, topic string) []string {
		page, err := l.Last(m.ctx, topic, 100)
		fatal(t, err)
		return texts(page)
	}
	meshtest.Eventually(t, "the newest ten are left", func() bool {
		return slices.Equal(last(few, "x"), numbers(40, 50)) && slices.Equal(last(few, "y"), numbers(0, 5))
	})
	meshtest.Eventually(t, "what fits is left", func() bool {
		got := last(small, "x")
		return len(got) >= 4 && len(got) <= 6 && strings.TrimSpace(got[len(got)-1]) == "19"
	})
	meshtest.Eventually(t, "nothing is left", func() bool { return len(last(short, "x")) == 0 })
}

func (m *mesh) follow(t *testing.T, a, b *node.Node) {
	l := open(t, a, history.Config{Name: "follow"})
	m.fill(l, "x", 0, 600)
	m.fill(l, "y", 0, 1)
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	i := 0
	var ended error
	for e, err := range open(t, b, history.Config{Name: "follow"}).Follow(ctx, "x", 0) {
		if err != nil {
			ended = err
			break
		}
		if string(e.Data) != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", e.Data, i)
		}
		switch i++; {
		case i >= 700:
			cancel()
		case i >= 600:
			m.fill(l, "x", i, i+1)
		}
	}
	if i != 700 || !errors.Is(ended, context.Canceled) {
		t.Errorf("%d entries, ended with %v", i, ended)
	}
}

// restart kills and restarts each store in turn while two writers append and a reader follows: what was appended is
// there once, in each writer's order.
func (m *mesh) restart(t *testing.T, a, b *node.Node) {
	const each = 200
	var running sync.WaitGroup
	defer running.Wait()
	for _, w := range []struct {
		name string
		n    *node.Node
	}{{"a", a}, {"b", b}} {
		l := open(t, w.n, history.Config{Name: "restart"})
		running.Go(func() {
			for i := range each {
				if err := l.Append(m.ctx, history.Record{Topic: "x", ID: fmt.Sprint(w.name, i), Data: fmt.Append(nil, w.name, " ", i)}); err != nil {
					t.Errorf("%s: %v", w.name, err)
					return
				}
			}
		})
	}
	l := open(t, b, history.Config{Name: "restart"})
	progress := make(chan struct{})
	running.Go(func() {
		defer close(progress)
		next := map[string]int{}
		for e, err := range l.Follow(m.ctx, "x", 0) {
			var who string
			var i int
			if _, err2 := fmt.Sscan(string(e.Data), &who, &i); err != nil || err2 != nil || i != next[who] {
				t.Errorf("got %q where %d was to come, %v", e.Data, next[who], err)
				return
			}
			if next[who]++; next["a"] == each && next["b"] == each {
				return
			}
			if n := next["a"] + next["b"]; n%100 == 0 && n <= 300 {
				select {
				case progress <- struct{}{}: // once the last store is back
				case <-m.ctx.Done():
					t.Error(m.ctx.Err())
					return
				}
			}
		}
	})
	store := 0
	for range progress {
		store++
		m.Kill(store)
		m.Restart(store)
	}
}

// TestNoStores: in a mesh without stores every call says so, and does not wait for its context.
func TestNoStores(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{Name: "a@127.0.0.1", Cookie: []byte("a cookie for the history"), DataDir: t.TempDir()})
	fatal(t, err)
	defer n.Close()
	l := open(t, n, history.Config{Name: "none"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	for range 2 {
		_, err1 := l.Last(ctx, "x", 1)
		for _, err := range []error{err1, l.Append(ctx, record("x", 0)), l.Drop(ctx, "x", 1), l.Ready(ctx)} {
			if !errors.Is(err, history.ErrNoStores) {
				t.Errorf("got %v", err)
			}
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to find out that there is nobody", took)
	}
}

func TestArguments(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{Name: "a@127.0.0.1", Cookie: []byte("a cookie for the history"), DataDir: t.TempDir()})
	fatal(t, err)
	defer n.Close()
	for _, cfg := range []history.Config{
		{}, {Name: "a.b"}, {Name: strings.Repeat("x", 33)}, {Name: "x", MaxAge: time.Millisecond}, {Name: "x", MaxBytes: -1},
		{Name: "x", Replicas: 2},
	} {
		if _, err := history.New(n, cfg); !errors.Is(err, history.ErrBadArgument) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	l := open(t, n, history.Config{Name: "x"})
	_, err1 := l.Last(t.Context(), "", 1)
	_, err2 := l.Before(t.Context(), "x", 0, 0)
	_, err3 := l.After(t.Context(), "x", 0, history.MaxPage+1)
	var err4 error
	for _, err4 = range l.Follow(t.Context(), strings.Repeat("x", 256), 0) {
	}
	for i, err := range []error{
		err1, err2, err3, err4, l.Drop(t.Context(), "", 1),
		l.Append(t.Context(), history.Record{ID: "1"}), l.Append(t.Context(), history.Record{Topic: "x"}),
		l.Append(t.Context(), history.Record{Topic: "x", ID: "a b"}), l.Append(t.Context(), history.Record{Topic: "x", ID: "a\r\nb: c"}),
		l.Append(t.Context(), history.Record{Topic: "x", ID: "1", Data: make([]byte, history.MaxData+1)}),
		l.Append(t.Context(), make([]history.Record, history.MaxPage+1)...),
	} {
		if !errors.Is(err, history.ErrBadArgument) {
			t.Errorf("case %d: %v", i, err)
		}
	}
}
