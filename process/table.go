package process

import "sync"

// tableShards spreads the processes over several locks. A power of two.
const tableShards = 64

// table finds processes by id.
type table struct {
	shards [tableShards]tableShard
}

type tableShard struct {
	mu sync.RWMutex // guards the fields below
	m  map[uint64]*Process
	// peak is the size that m once had: a map keeps the memory of its greatest size, so it is replaced when nearly empty.
	peak int
	_    [24]byte // keeps neighbours off this cache line
}

func (t *table) init() {
	for i := range t.shards {
		t.shards[i].m = make(map[uint64]*Process)
	}
}

func (t *table) shard(id uint64) *tableShard { return &t.shards[id%tableShards] }

func (t *table) get(id uint64) *Process {
	s := t.shard(id)
	s.mu.RLock()
	p := s.m[id]
	s.mu.RUnlock()
	return p
}

func (t *table) put(p *Process) {
	s := t.shard(p.id)
	s.mu.Lock()
	s.m[p.id] = p
	s.peak = max(s.peak, len(s.m))
	s.mu.Unlock()
}

// shrinkFrom is the size from which a map that has emptied to a quarter is worth copying.
const shrinkFrom = 256

func (t *table) remove(id uint64) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, id)
	if s.peak < shrinkFrom || len(s.m) > s.peak/4 {
		return
	}
	m := make(map[uint64]*Process, len(s.m))
	for id, p := range s.m {
		m[id] = p
	}
	s.m, s.peak = m, len(m)
}

func (t *table) all() []*Process {
	var all []*Process
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, p := range s.m {
			all = append(all, p)
		}
		s.mu.RUnlock()
	}
	return all
}
