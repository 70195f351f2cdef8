package process

import (
	"context"
	"sync/atomic"
)

// Monitor is one subscription to the end of a process. It fires once, whatever happens: with the real reason, with
// ErrNoProcess when there was nobody, with ErrNoConnection when the node could not be reached or was lost. After that
// nothing is armed again (LINK-06). Monitors are stackable: each call of Monitor makes one of its own.
type Monitor struct {
	rt     *Runtime
	target Address
	state  atomic.Uint32
	reason error // set once by whoever moves state to fired

	owner *Process   // whose mailbox gets the DOWN, or nil
	fn    func(Down) // called instead when there is no owner

	// The list of the owner's monitors, guarded by the owner's mu.
	ownerNext, ownerPrev *Monitor
	ownerListed          bool

	local  watch          // at a target of this node
	remote *remoteMonitor // at a target of another node, else nil
}

// The states of a monitor.
const (
	monitorActive uint32 = iota
	monitorFired
	monitorReceived
	monitorDropped
)

// Down is the message that a monitor sends when it fires. It comes after the last message that the process sent to
// this node.
type Down struct {
	// Monitor is the monitor that fired, as Process.Monitor returned it (LINK-25).
	Monitor *Monitor
	// Target is what was monitored: the PID or the Name.
	Target Address
	// Reason is why the process ended, or ErrNoProcess, or ErrNoConnection: then it may well be alive.
	Reason error
}

// downSignal is a Down in a mailbox. Until it is received, the monitor may still be taken back.
type downSignal struct{ m *Monitor }

func (m *Monitor) down() Down { return Down{Monitor: m, Target: m.target, Reason: m.reason} }

// Target is what is monitored.
func (m *Monitor) Target() Address { return m.target }

// Monitor asks to be told, by a Down in the mailbox, when the process at the address ends. It returns at once for a
// process of this node or of a connected one; else it connects first, and a node that cannot be reached is answered by
// a Down with ErrNoConnection (LINK-02, LINK-03).
func (p *Process) Monitor(to Address) *Monitor {
	m := &Monitor{rt: p.rt, target: to, owner: p}
	m.resolve()
	if p.listMonitor(m) {
		if m.remote == nil {
			m.arm(p.rt.ctx)
		} else {
			m.arm(p.Context())
		}
	}
	return m
}

// listMonitor enters m at its owner, unless that has ended.
func (p *Process) listMonitor(m *Monitor) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		m.state.Store(monitorDropped)
		return false
	}
	m.ownerNext, m.ownerListed = p.monitors, true
	if m.ownerNext != nil {
		m.ownerNext.ownerPrev = m
	}
	p.monitors = m
	return true
}

// Demonitor takes the monitor back. After it has returned, no Down of it is received any more, not even one that waited
// in the mailbox already (LINK-08). It reports whether the monitor was still active. A monitor of another process is
// left alone (LINK-10), and one that has been taken back or received already is no harm (LINK-09).
func (p *Process) Demonitor(m *Monitor) (active bool) {
	if m == nil || m.owner != p {
		return false
	}
	return m.take()
}

// Monitor calls fn once, with what happened, when the process at the address ends: see Process.Monitor. fn runs on
// whatever goroutine noticed, perhaps before Monitor has returned; it must be quick and must not block. When ctx is done
// before a connection to the node stands, that counts as ErrNoConnection; later ctx has no effect. It is for code that
// is no process.
func (r *Runtime) Monitor(ctx context.Context, to Address, fn func(Down)) *Monitor {
	m := &Monitor{rt: r, target: to, fn: fn}
	m.resolve()
	m.arm(ctx)
	return m
}

// Stop takes back a monitor made by Runtime.Monitor: fn is not started any more. It reports whether the monitor was
// still active. On the monitor of a process it does nothing.
func (m *Monitor) Stop() (active bool) {
	if m.owner != nil {
		return false
	}
	return m.take()
}

// resolve finds out where the target is. It comes before anybody else sees the monitor.
func (m *Monitor) resolve() {
	r := m.rt
	target, _ := Resolve(m.target) // nobody there is no target
	switch to := target.(type) {
	case PID:
		switch {
		case r.local(to):
			m.local.target = r.lookup(to.ID)
		case to.Node != r.id.Name && !to.IsZero(): // else an earlier life of this node (SIG-12)
			m.remote = &remoteMonitor{node: to.NodeID(), to: to.ID, ref: r.lastRef.Add(1)}
		}
	case Name:
		if to.Node == "" || to.Node == r.id.Name {
			m.local.target = r.names.get(to.Name)
		} else {
			m.remote = &remoteMonitor{node: nodeNamed(to.Node), name: to.Name, ref: r.lastRef.Add(1)}
		}
	}
}

// arm puts the monitor to its target. ctx counts only for one on another node.
func (m *Monitor) arm(ctx context.Context) {
	if m.remote != nil {
		m.rt.armRemote(ctx, m)
		return
	}
	m.local.sink = m
	if p := m.local.target; p == nil || !p.addWatch(&m.local, m.active) {
		m.fire(ErrNoProcess)
	}
}

func (m *Monitor) active() bool { return m.state.Load() == monitorActive }

// targetDown is called when a local target ends.
func (m *Monitor) targetDown(reason error) { m.fire(reason) }

// fire delivers the end of the target, once.
func (m *Monitor) fire(reason error) {
	if !m.state.CompareAndSwap(monitorActive, monitorFired) {
		return
	}
	m.reason = reason
	if m.owner == nil {
		m.fn(m.down())
		return
	}
	m.unlist()
	_ = m.owner.put(downSignal{m}, putAlways) // an owner that has gone needs no signal
}

// unlist takes the monitor off its owner's list.
func (m *Monitor) unlist() {
	p := m.owner
	p.mu.Lock()
	defer p.mu.Unlock()
	if !m.ownerListed {
		return
	}
	m.ownerListed = false
	if m.ownerPrev != nil {
		m.ownerPrev.ownerNext = m.ownerNext
	} else {
		p.monitors = m.ownerNext
	}
	if m.ownerNext != nil {
		m.ownerNext.ownerPrev = m.ownerPrev
	}
	m.ownerNext, m.ownerPrev = nil, nil
}

// take takes the monitor back on behalf of its owner.
func (m *Monitor) take() bool {
	if m.drop() {
		if m.owner != nil {
			m.unlist()
		}
		return true
	}
	m.state.CompareAndSwap(monitorFired, monitorDropped)
	return false
}

// drop removes an active monitor from its target (LINK-23).
func (m *Monitor) drop() bool {
	if !m.state.CompareAndSwap(monitorActive, monitorDropped) {
		return false
	}
	if m.remote != nil {
		m.rt.disarmRemote(m)
	} else if m.local.target != nil {
		m.local.target.removeWatch(&m.local)
	}
	return true
}

// takeMonitors empties the list of the process's monitors. mu is held.
func (p *Process) takeMonitors() *Monitor {
	first := p.monitors
	p.monitors = nil
	for m := first; m != nil; m = m.ownerNext {
		m.ownerListed = false
	}
	return first
}
