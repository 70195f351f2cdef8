package process

import "sync"

// tableShards spreads the entries over several locks. A power of two.
const tableShards = 64

// table finds what has an id: processes, aliases.
type table[V any] struct {
	shards [tableShards]tableShard[V]
}

type tableShard[V any] struct {
	mu sync.RWMutex // guards the fields below
	m  shrinkMap[uint64, V]
	_  [24]byte // keeps neighbours off this cache line
}

func (t *table[V]) shard(id uint64) *tableShard[V] { return &t.shards[id%tableShards] }

// get is the entry of id, or the zero value.
func (t *table[V]) get(id uint64) V {
	s := t.shard(id)
	s.mu.RLock()
	v := s.m.m[id]
	s.mu.RUnlock()
	return v
}

func (t *table[V]) put(id uint64, v V) {
	s := t.shard(id)
	s.mu.Lock()
	s.m.put(id, v)
	s.mu.Unlock()
}

func (t *table[V]) remove(id uint64) {
	s := t.shard(id)
	s.mu.Lock()
	s.m.remove(id)
	s.mu.Unlock()
}

func (t *table[V]) len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.m.m)
		s.mu.RUnlock()
	}
	return n
}

// all is a copy of the entries, each shard as of one moment.
func (t *table[V]) all() []V {
	var all []V
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, v := range s.m.m {
			all = append(all, v)
		}
		s.mu.RUnlock()
	}
	return all
}

// shrinkMap is a map that gives memory back. A Go map keeps the memory of its greatest size; this one is copied when
// it has emptied to a quarter of it. The zero value is empty.
type shrinkMap[K comparable, V any] struct {
	m    map[K]V
	peak int
}

// shrinkFrom is the size from which copying is worth while.
const shrinkFrom = 256

func (s *shrinkMap[K, V]) put(k K, v V) {
	if s.m == nil {
		s.m = make(map[K]V)
	}
	s.m[k] = v
	s.peak = max(s.peak, len(s.m))
}

func (s *shrinkMap[K, V]) remove(k K) {
	delete(s.m, k)
	if s.peak < shrinkFrom || len(s.m) > s.peak/4 {
		return
	}
	m := make(map[K]V, len(s.m))
	for k, v := range s.m {
		m[k] = v
	}
	s.m, s.peak = m, len(m)
}
