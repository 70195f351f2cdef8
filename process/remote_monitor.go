package process

import (
	"context"

	"github.com/kith-mesh/kith/node"
)

// remoteMonitor is what a monitor of a process on another node needs to know of it.
type remoteMonitor struct {
	node node.ID
	to   uint64
	name string
	ref  uint64
	conn uint64 // see peer; guarded by peers.mu
}

// armRemote asks the peer to watch the target.
func (r *Runtime) armRemote(ctx context.Context, m *Monitor) {
	rm := m.remote
	if !r.peers.addMonitor(m) {
		return
	}
	r.begun(rm.node.Name, &rm.conn)
	f := frame{kind: frameMonitor, to: rm.to, name: rm.name, ref: rm.ref}
	if err := r.sendFrame(ctx, rm.node, &f, 0); err != nil {
		if r.peers.takeMonitor(rm.node.Name, rm.ref) != nil {
			m.fire(r.whyLost(rm.node, err))
		}
		return
	}
	if !m.active() { // it fired, or was taken back, before the peer heard of it
		r.reply(rm.node, frame{kind: frameDemonitor, ref: rm.ref})
	}
}

// disarmRemote tells the peer that nobody waits any more (LINK-23).
func (r *Runtime) disarmRemote(m *Monitor) {
	if r.peers.takeMonitor(m.remote.node.Name, m.remote.ref) != nil {
		r.reply(m.remote.node, frame{kind: frameDemonitor, ref: m.remote.ref})
	}
}

// remoteWatch is a monitor that a process of another node has on one of this node.
type remoteWatch struct {
	rt    *Runtime
	peer  node.Peer
	ref   uint64
	watch watch
}

// targetDown tells the peer. It comes behind all that the process sent to the peer.
func (w *remoteWatch) targetDown(reason error) {
	if w.rt.peers.takeWatch(w.peer.Name, w.ref) == nil {
		return // the session has ended, or the monitor was taken back
	}
	w.rt.sendDown(w.peer.ID, w.ref, reason)
}

func (r *Runtime) sendDown(to node.ID, ref uint64, reason error) {
	r.reply(to, frame{kind: frameDown, ref: ref, body: r.types.now.Load().encodeReason(reason)})
}

// handleMonitor sets up a monitor of the peer.
func (r *Runtime) handleMonitor(p node.Peer, f frame) {
	target := r.names.get(f.name)
	if f.to != 0 {
		target = r.lookup(f.to)
	}
	if target == nil {
		r.sendDown(p.ID, f.ref, ErrNoProcess)
		return
	}
	w := &remoteWatch{rt: r, peer: p, ref: f.ref}
	w.attach(target)
}

// attach puts the watch on its target.
func (w *remoteWatch) attach(target *Process) {
	w.watch = watch{sink: w, target: target}
	if !w.rt.peers.addWatch(w) {
		w.rt.stats.badFrames.Add(1) // the number is in use
		return
	}
	if !target.addWatch(&w.watch, nil) {
		w.targetDown(ErrNoProcess)
	}
}

// handleDemonitor takes a monitor of the peer back.
func (r *Runtime) handleDemonitor(p node.Peer, f frame) {
	if w := r.peers.takeWatch(p.Name, f.ref); w != nil {
		w.watch.target.removeWatch(&w.watch)
	}
}

// handleDown fires a monitor.
func (r *Runtime) handleDown(p node.Peer, f frame) {
	if m := r.peers.takeMonitor(p.Name, f.ref); m != nil {
		m.fire(r.types.now.Load().decodeReason(f.body))
	}
}
