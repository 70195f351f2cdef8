package process

import "sync/atomic"

// Alive reports whether the process exists. It is false for a process of another node.
func (r *Runtime) Alive(pid PID) bool { return r.find(pid) != nil }

// Life tells whether one process has ended. It is for who asks often: see Runtime.Life. The zero Life has ended.
type Life struct{ ended *atomic.Bool }

// Life returns the life of a process of this node. Of one that does not exist, or lives elsewhere, it has ended. It keeps
// the memory of the process.
func (r *Runtime) Life(pid PID) Life {
	if p := r.find(pid); p != nil {
		return Life{&p.ended}
	}
	return Life{}
}

// Ended reports whether the process has ended: at the latest when Alive is false. It takes no lock and looks nothing up. It
// may be called concurrently.
func (l Life) Ended() bool { return l.ended == nil || l.ended.Load() }
