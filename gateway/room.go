package gateway

import "sync/atomic"

// room counts the calls that run, and the bytes of their arguments. Any goroutine may use it.
type room struct{ calls, bytes atomic.Int64 }

// take makes room for a call, if there is some.
func (r *room) take(size int) bool {
	calls, bytes := r.calls.Add(1), r.bytes.Add(int64(size))
	if calls > maxCalls || bytes > maxCallBytes {
		r.leave(size)
		return false
	}
	return true
}

func (r *room) leave(size int) {
	r.bytes.Add(-int64(size))
	r.calls.Add(-1)
}
