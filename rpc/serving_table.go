package rpc

import (
	"context"
	"sync"
)

// servingKey finds a request by its session and its id in it.
type servingKey struct{ conn, id uint64 }

// servingTable holds the requests of other nodes that run here, so that they can be cancelled.
type servingTable struct {
	shards [pendingShards]struct {
		mu sync.Mutex // guards the field below
		m  map[servingKey]*serving
		_  [40]byte
	}
}

func (t *servingTable) add(k servingKey, sv *serving) {
	s := &t.shards[k.id%pendingShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[servingKey]*serving)
	}
	s.m[k] = sv
}

func (t *servingTable) remove(k servingKey) {
	s := &t.shards[k.id%pendingShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, k)
}

func (t *servingTable) get(k servingKey) *serving {
	s := &t.shards[k.id%pendingShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[k]
}

// cancel ends the context of one request, unless repetitions may still ask for its answer.
func (t *servingTable) cancel(k servingKey, err error) {
	if sv := t.get(k); sv != nil && sv.req.Key == "" {
		sv.callContext.cancel(err)
	}
}

func (t *servingTable) credit(k servingKey, n uint64) {
	if sv := t.get(k); sv != nil && sv.gate != nil {
		sv.gate.add(n)
	}
}

// orphan ends those requests of a lost session that nothing else would end.
func (t *servingTable) orphan(conn uint64) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for k, sv := range s.m {
			if k.conn == conn && sv.req.Key == "" && (sv.deadline == 0 || sv.req.Streaming) {
				sv.callContext.cancel(context.Canceled)
			}
		}
		s.mu.Unlock()
	}
}
