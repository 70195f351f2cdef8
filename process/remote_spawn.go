package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/internal/codec"
	"github.com/kith-mesh/kith/node"
)

// spawnRequest is the body of frameSpawn.
type spawnRequest struct {
	Kind      string `cbor:"1,keyasint"`
	Args      []byte `cbor:"2,keyasint"` // an encoded message
	Name      string `cbor:"3,keyasint,omitempty"`
	Trap      bool   `cbor:"4,keyasint,omitempty"`
	Capacity  int    `cbor:"5,keyasint,omitempty"`
	Policy    Policy `cbor:"6,keyasint,omitempty"`
	HighWater int    `cbor:"7,keyasint,omitempty"`
}

// The flags of frameSpawn: the new process is linked to the process from, and monitored under the frame's number.
const (
	spawnLinked uint64 = 1 << iota
	spawnMonitored
)

// spawnRemote asks another node for a process.
func (r *Runtime) spawnRemote(ctx context.Context, dest node.ID, kind string, args any, o *spawnOptions) (PID, error) {
	data, err := r.Encode(args)
	if err != nil {
		return PID{}, err
	}
	body, err := codec.Marshal(spawnRequest{Kind: kind, Args: data, Name: o.name, Trap: o.trap,
		Capacity: o.capacity, Policy: o.policy, HighWater: o.highWater})
	if err != nil {
		return PID{}, fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	f := frame{kind: frameSpawn, ref: r.lastRef.Add(1), body: body}
	var m *Monitor
	if o.parent != nil {
		f.from, f.aux = o.parent.id, f.aux|spawnLinked
	}
	if len(o.monitors) > 0 {
		f.aux |= spawnMonitored
		m = o.monitors[0].owner.expectRemote(dest, f.ref)
	}
	a, err := r.ask(ctx, dest, &f, &request{
		first: func(a answer) { r.spawned(a, o.parent, m) },
		late:  r.killOrphan,
	})
	if err == nil && a.aux != 0 {
		err = r.types.now.Load().decodeReason(a.body)
	}
	if err != nil {
		if m != nil {
			m.take()
		}
		return PID{}, fmt.Errorf("spawn on %s: %w", dest.Name, err)
	}
	if m != nil {
		*o.monitors[0].out = m
	}
	return remotePID(a.peer, a.to), nil
}

// spawned ties a process that another node has started to those that asked for it. It runs on the dispatcher, before
// anything that the new process sends.
func (r *Runtime) spawned(a answer, parent *Process, m *Monitor) {
	if a.aux != 0 {
		return
	}
	pid := remotePID(a.peer, a.to)
	if m != nil {
		m.target = pid
	}
	if parent != nil && parent.linkFromRemote(pid, a.peer.Conn) != nil {
		r.sendLinkExit(parent.id, pid, parent.exitReason())
	}
}

// killOrphan ends a process that was started for somebody who waits for it no longer.
func (r *Runtime) killOrphan(a answer) {
	if a.aux == 0 {
		r.signalExit(PID{}, remotePID(a.peer, a.to), ErrKill)
	}
}

// expectRemote makes the monitor of a process that another node is about to start.
func (p *Process) expectRemote(dest node.ID, ref uint64) *Monitor {
	m := &Monitor{rt: p.rt, target: Name{Node: dest.Name}, owner: p, remote: &remoteMonitor{node: dest, ref: ref}}
	if !p.listMonitor(m) || !p.rt.peers.addMonitor(m) {
		return m
	}
	p.rt.begun(dest.Name, &m.remote.conn)
	return m
}

// handleSpawn starts a process for another node. It has a goroutine of its own, since it runs the program's code.
func (r *Runtime) handleSpawn(p node.Peer, f frame) {
	pid, start, err := r.spawnFor(p, f)
	if err != nil {
		body := r.types.now.Load().encodeReason(err)
		r.reply(p.ID, frame{kind: frameSpawned, ref: f.ref, aux: 1, body: body})
		return
	}
	r.reply(p.ID, frame{kind: frameSpawned, ref: f.ref, to: pid.ID})
	start()
}

func (r *Runtime) spawnFor(p node.Peer, f frame) (pid PID, start func(), err error) {
	var q spawnRequest
	if err := codec.Unmarshal(f.body, &q); err != nil {
		r.stats.badFrames.Add(1)
		return PID{}, nil, fmt.Errorf("%w: spawn request: %w", ErrBadMessage, err)
	}
	args, err := r.Decode(q.Args)
	if err != nil {
		return PID{}, nil, err
	}
	return r.spawnKind(q.Kind, args, []SpawnOption{func(o *spawnOptions) {
		o.name, o.trap, o.capacity, o.policy, o.highWater = q.Name, q.Trap, q.Capacity, q.Policy, q.HighWater
		if f.aux&spawnMonitored != 0 {
			o.remote = &remoteWatch{rt: r, peer: p, ref: f.ref}
		}
		if f.aux&spawnLinked != 0 {
			o.linkTo, o.linkConn = remotePID(p, f.from), p.Conn
		}
	}})
}

// errSpawn is what SpawnAt returns for a process that ended before it ran.
func errSpawn(reason error) error {
	if errors.Is(reason, ErrKilled) {
		return ErrClosed
	}
	return reason
}
