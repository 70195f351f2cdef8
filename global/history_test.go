package global_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/freeport"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// soakEnv asks for the long form of the history checks: its value is how many rounds of trouble there are.
const soakEnv = "KITH_SOAK"

// soak is how many rounds of trouble a history has.
func soak(short int) int {
	if n, err := strconv.Atoi(os.Getenv(soakEnv)); err == nil {
		return n
	}
	return short
}

// call is one operation on one name or lock, by one worker; answer is what came of it.
type call struct {
	kind string // register, reregister, unregister, whereis, lock, unlock, clear
	key  string
	who  int
}

type answer struct {
	unknown bool // it may have happened, also later
	refused bool
	holder  int    // who has it: of a refused register, and of a whereis; nobody is free
	token   uint64 // of a register or lock
}

const free = -1

// tenancy is the state of a name or lock as it should be.
type tenancy struct {
	holder int
	token  uint64 // the greatest that was given
}

// tenancyModel is a name or lock of which one has it at a time, with tokens that grow.
var tenancyModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(call).key
			byKey[key] = append(byKey[key], op)
		}
		var list [][]porcupine.Operation
		for _, ops := range byKey {
			list = append(list, ops)
		}
		return list
	},
	Init:              func() any { return tenancy{holder: free} },
	Step:              func(s, in, out any) (bool, any) { return s.(tenancy).step(in.(call), out.(answer)) },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

func (s tenancy) step(in call, out answer) (bool, any) {
	switch in.kind {
	case "register", "reregister", "lock":
		open := s.holder == free || in.kind == "reregister"
		switch {
		case out.unknown && open:
			return true, tenancy{in.who, s.token} // nobody has seen its token
		case out.unknown:
			return true, s
		case out.refused:
			return !open && (in.kind == "lock" || s.holder == out.holder), s
		}
		return open && out.token > s.token, tenancy{in.who, out.token}
	case "clear":
		if s.holder == in.who {
			return true, tenancy{free, s.token}
		}
		return true, s
	case "unregister":
		return true, tenancy{free, s.token}
	case "unlock":
		if out.unknown {
			return true, tenancy{free, s.token}
		}
		return s.holder == in.who, tenancy{free, s.token}
	}
	return out.unknown || s.holder == out.holder, s
}

// TestTenancyModel holds the model against what it must refuse.
func TestTenancyModel(t *testing.T) {
	op := func(client int, kind string, who int, out answer, from, to int64) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: call{kind, "k", who}, Output: out, Call: from, Return: to}
	}
	tests := []struct {
		name string
		ops  []porcupine.Operation
		good bool
	}{
		{"two_holders", []porcupine.Operation{op(1, "register", 1, answer{token: 1}, 0, 1), op(2, "register", 2, answer{token: 2}, 2, 3)}, false},
		{"token_falls", []porcupine.Operation{op(1, "lock", 1, answer{token: 5}, 0, 1), op(1, "unlock", 1, answer{}, 2, 3), op(2, "lock", 2, answer{token: 4}, 4, 5)}, false},
		{"stale_read", []porcupine.Operation{op(1, "register", 1, answer{token: 1}, 0, 1), op(2, "whereis", 2, answer{holder: free}, 2, 3)}, false},
		{"lost_answer", []porcupine.Operation{op(1, "register", 1, answer{unknown: true}, 0, math.MaxInt64), op(2, "whereis", 2, answer{holder: 1}, 5, 6)}, true},
		{"in_turn", []porcupine.Operation{op(1, "lock", 1, answer{token: 1}, 0, 1), op(2, "lock", 2, answer{refused: true}, 2, 3), op(1, "unlock", 1, answer{}, 4, 6), op(2, "lock", 2, answer{token: 2}, 5, 7)}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := porcupine.CheckOperations(tenancyModel, tt.ops); got != tt.good {
				t.Errorf("got %v", got)
			}
		})
	}
}

// chronicle gathers operations.
type chronicle struct {
	began time.Time

	mu      sync.Mutex // guards the fields below
	ops     []porcupine.Operation
	unknown int
	done    map[string]int
}

func (h *chronicle) note(client int, in call, out answer, began time.Time) {
	end := int64(time.Since(h.began))
	h.mu.Lock()
	defer h.mu.Unlock()
	if out.unknown {
		end = math.MaxInt64
		h.unknown++
	} else if !out.refused {
		h.done[in.kind]++
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(began.Sub(h.began)), Return: end})
}

// client is a worker of a history.
type client struct {
	h    *chronicle
	t    *testing.T
	id   int
	r    *global.Registry
	by   []*global.Registry // whom it asks to register it; in quorum mode any will do
	pid  process.PID
	all  map[process.PID]int
	wait time.Duration
}

// run makes calls until the context ends.
func (w *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		switch key := fmt.Sprint("name-", rand.IntN(2)); rand.IntN(8) {
		case 0, 1:
			w.register(ctx, "register", key)
		case 2:
			w.register(ctx, "reregister", key)
		case 3, 4:
			began := time.Now()
			err := w.r.Unregister(ctx, key)
			w.note(call{"unregister", key, w.id}, answer{}, err, began)
		case 5:
			w.lock(ctx, "lock")
		default:
			began := time.Now()
			pid, ok, err := w.r.WhereisConfirmed(ctx, key)
			out := answer{holder: free}
			if ok {
				out.holder = w.all[pid]
			}
			w.note(call{"whereis", key, w.id}, out, err, began)
		}
		time.Sleep(rand.N(w.wait)) // think time, so that orders vary
	}
}

// note enters a call; an error is an outcome that is not known.
func (w *client) note(in call, out answer, err error, began time.Time) {
	if err != nil {
		if !errors.Is(err, global.ErrNoQuorum) && !errors.Is(err, context.DeadlineExceeded) {
			w.t.Errorf("%+v: %v", in, err)
		}
		out = answer{unknown: true}
		if in.kind == "register" || in.kind == "reregister" { // what is left of it is cleared away when it is found
			w.h.note(w.id, call{"clear", in.key, w.id}, out, began)
		}
	}
	w.h.note(w.id, in, out, began)
}

func (w *client) register(ctx context.Context, kind, key string) {
	began := time.Now()
	register := w.by[rand.IntN(len(w.by))].RegisterVersion
	if kind == "reregister" {
		register = w.by[rand.IntN(len(w.by))].ReRegisterVersion
	}
	v, err := register(ctx, key, w.pid)
	out := answer{token: v.Clock}
	var taken *global.TakenError
	if errors.As(err, &taken) {
		out, err = answer{refused: true, holder: w.all[taken.Holder]}, nil
	}
	w.note(call{kind, key, w.id}, out, err, began)
}

func (w *client) lock(ctx context.Context, key string) {
	began := time.Now()
	l, err := w.r.Lock(ctx, key, fmt.Sprint("worker-", w.id), global.Retries(0))
	if errors.Is(err, global.ErrLocked) {
		w.h.note(w.id, call{"lock", key, w.id}, answer{refused: true}, began)
		return
	}
	out := answer{}
	if err == nil {
		out.token = l.Token()
	}
	w.note(call{"lock", key, w.id}, out, err, began)
	if err != nil {
		return
	}
	time.Sleep(rand.N(w.wait))
	began = time.Now()
	w.note(call{"unlock", key, w.id}, answer{}, l.Release(ctx), began)
}

// TestHistoryQuorum records what nodes do to names and locks in quorum mode at the same time, while stores are frozen,
// killed, cut off, and can be heard but do not hear, and checks that the history is linearizable.
func TestHistoryQuorum(t *testing.T) {
	t.Parallel()
	p := &storeProcess{t: t}
	var cfg node.Config
	m := meshtest.New(t, 0, meshtest.Stores(3), meshtest.Configure(func(c *node.Config) { cfg = *c }))
	m.Start("n1@127.0.0.1")
	m.Start("n2@127.0.0.1")
	listen, err := freeport.Addrs(1)
	must(t, err)
	p.m, p.spec = m, childSpec{
		Name: "n3@127.0.0.1", Mesh: cfg.Mesh, Cookie: cfg.Cookie, DataDir: cfg.DataDir, Store: cfg.Store, Tick: cfg.Tick,
		Join: []string{m.Node(1).Addr()}, Advertise: cfg.Store["n3@127.0.0.1"], Listen: listen[0],
	}
	must(t, m.Links().Serve(p.spec.Name, p.spec.Listen))
	p.start()
	t.Cleanup(func() { p.end() })

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second*time.Duration(soak(1)))
	defer cancel()
	h := &chronicle{began: time.Now(), done: map[string]int{}}
	all := map[process.PID]int{}
	var clients []*client
	for i := range 3 {
		n := m.Start(fmt.Sprintf("n%d@127.0.0.1", 4+i))
		rt, err := process.New(n)
		must(t, err)
		s, err := quorum.Open(ctx, n, quorum.WithLease(120*time.Second)) // longer than the stores are away
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		r, err := global.New(rt, global.Quorum(s), global.SeveralNames())
		must(t, err)
		for range 2 {
			w := &client{h: h, t: t, id: len(clients), r: r, all: all, wait: 40 * time.Millisecond}
			w.pid = rt.Spawn(func(self *process.Process) error { <-self.Context().Done(); return nil })
			all[w.pid] = w.id
			clients = append(clients, w)
		}
	}
	calls, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, w := range clients {
		w.by = []*global.Registry{clients[0].r, clients[2].r, clients[4].r}
		wg.Go(func() { w.run(calls) })
	}
	for range soak(1) {
		trouble(m, p)
	}
	stop()
	wg.Wait()
	t.Logf("%d calls, %d without an answer, %v", len(h.ops), h.unknown, h.done)
	for _, kind := range []string{"register", "reregister", "unregister", "whereis", "lock", "unlock"} {
		if h.done[kind] < 5 {
			t.Errorf("%d times %s", h.done[kind], kind)
		}
	}
	if result := porcupine.CheckOperationsTimeout(tenancyModel, h.ops, time.Minute); result != porcupine.Ok {
		t.Errorf("the history is not linearizable: %v", result)
	}
}

// trouble is all that is done to the stores in one round. Between two troubles the stores come to agree again.
func trouble(m *meshtest.Mesh, p *storeProcess) {
	const calm = time.Second
	time.Sleep(calm)
	p.freeze(calm)
	time.Sleep(calm)
	m.Partition(1)
	m.Links().Cut("n1@127.0.0.1", p.spec.Name)
	time.Sleep(calm)
	m.MendAll()
	m.Links().Mend("n1@127.0.0.1", p.spec.Name)
	time.Sleep(calm)
	m.Kill(2)
	meshtest.Eventually(p.t, "all have missed the store", func() bool {
		for _, n := range m.Nodes() {
			if _, there := n.Peer("n2@127.0.0.1"); there {
				return false
			}
		}
		return true
	})
	time.Sleep(calm)
	m.Restart(2)
	time.Sleep(calm)
	for _, to := range []string{"n2@127.0.0.1", p.spec.Name} {
		m.Links().CutOneWay("n1@127.0.0.1", to)
	}
	time.Sleep(calm)
	for _, to := range []string{"n2@127.0.0.1", p.spec.Name} {
		m.Links().Mend("n1@127.0.0.1", to)
	}
	time.Sleep(calm)
	p.kill()
	time.Sleep(calm)
}
