package benchmark

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/freeport"
	"github.com/kith-mesh/kith/quorum"
)

// measureQuorum is names in quorum mode, on three nodes that are the stores.
func measureQuorum(t *turn) error {
	t.Store = map[string]string{}
	nodes := append([]string{t.Name}, others...)
	addrs, err := freeport.Addrs(len(nodes))
	if err != nil {
		return err
	}
	for i, name := range nodes {
		t.Store[name] = addrs[i]
	}
	if err := t.start(others...); err != nil {
		return err
	}
	store, err := quorum.Open(t.ctx, t.here.node)
	if err != nil {
		return err
	}
	defer store.Close()
	names, err := global.New(t.here.rt, global.Quorum(store), global.SeveralNames())
	if err != nil {
		return err
	}
	defer names.Close()
	pid := t.here.spawn()
	i := 0
	times, err := timed(nil, t.pace(2*time.Second), func() error {
		i++
		return names.Register(t.ctx, fmt.Sprint("one", i), pid)
	})
	if err != nil {
		return err
	}
	t.figures["global_quorum_register_p50_us"] = quantile(times, 0.5, time.Microsecond)
	confirmed, err := timed(nil, t.pace(time.Second), func() error {
		_, _, err := names.WhereisConfirmed(t.ctx, "one1")
		return err
	})
	if err != nil {
		return err
	}
	t.figures["global_quorum_confirmed_p50_us"] = quantile(confirmed, 0.5, time.Microsecond)
	var next atomic.Int64
	rate, err := parallel(64, t.pace(2*time.Second), func() error {
		return names.Register(t.ctx, fmt.Sprint("many-", next.Add(1)), pid)
	})
	if err != nil {
		return err
	}
	t.figures["global_quorum_registers_per_s"] = rate
	t.figures["global_quorum_whereis_ns"] = whereis(names, "many-")
	return nil
}

// sightings are the times at which this node has seen names.
type sightings struct {
	mu sync.Mutex // guards the field below
	at map[string]int64
}

// watch notes when names with a prefix are seen, until the registry ends.
func (s *sightings) watch(names *global.Registry, prefix string) {
	s.mu.Lock()
	s.at = map[string]int64{}
	s.mu.Unlock()
	m, _ := names.Monitor(prefix)
	go func() {
		for ev := range m.Events() {
			if ev.Kind == global.Registered {
				now := time.Now().UnixNano()
				s.mu.Lock()
				s.at[ev.Entry.Name] = now
				s.mu.Unlock()
			}
		}
	}()
}

func (s *sightings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// all is when each name was seen.
func (s *sightings) all() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.at)
}
