package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
)

// Send puts msg into the mailbox of the process to, on whatever node it lives. Messages from one goroutine to one
// process arrive in the order in which they were sent, and without a gap while the connection lasts (SIG-01).
//
// Send to another node connects first if need be (SIG-08), and waits within ctx while the window of that node is full.
// It returns nil when there is no such process or no such node, or the connection is lost: such messages are counted,
// and lost (SIG-05). A monitor tells of the end of a process, SendConfirmed of the arrival of a message.
//
// Errors: ErrClosed, that of ctx, ErrMailboxFull from a bounded mailbox of this node, and for another node
// ErrUnregisteredType, ErrBadMessage and node.ErrTooLarge. With any of them nothing was sent.
func (r *Runtime) Send(ctx context.Context, to PID, msg any) error {
	if r.closed.Load() {
		return ErrClosed
	}
	if r.local(to) {
		return r.toNobody(r.putID(ctx, to.ID, msg, putLocal))
	}
	return r.sendRemote(ctx, to.NodeID(), frame{kind: frameSend, to: to.ID}, msg, 0)
}

// SendTo is Send to any address. A Name without a node, or a Via, that nobody has is ErrNoProcess (SIG-07). With flags it fails
// rather than wait: node.NoConnect makes a missing connection ErrNoConnection (SIG-09), node.NoWait a full window
// node.ErrWouldBlock (SIG-10).
func (r *Runtime) SendTo(ctx context.Context, to Address, msg any, flags ...node.SendFlags) error {
	var all node.SendFlags
	for _, f := range flags {
		all |= f
	}
	to, err := Resolve(to)
	if err != nil {
		return err
	}
	if dest, f := r.remote(to); dest.Name != "" {
		if r.closed.Load() {
			return ErrClosed
		}
		return r.sendRemote(ctx, dest, f, msg, all)
	}
	switch to := to.(type) {
	case PID:
		return r.Send(ctx, to, msg)
	case Name:
		if r.closed.Load() {
			return ErrClosed
		}
		err := r.putName(ctx, to.Name, msg, putLocal)
		if to.Node == "" && errors.Is(err, ErrNoProcess) {
			return fmt.Errorf("%w: %q", ErrNoProcess, to.Name)
		}
		return r.toNobody(err)
	}
	return fmt.Errorf("%w: no address", ErrNoProcess)
}

// remote is where an address on another node leads, and the head of a frame that sends there; no name for one of this
// node, or of an earlier life of it, or of nobody.
func (r *Runtime) remote(to Address) (dest node.ID, f frame) {
	switch to := to.(type) {
	case PID:
		if to.Node != r.id.Name {
			return to.NodeID(), frame{kind: frameSend, to: to.ID}
		}
	case Name:
		if to.Node != r.id.Name {
			return nodeNamed(to.Node), frame{kind: frameSendName, name: to.Name}
		}
	}
	return node.ID{}, frame{}
}

// toNobody counts a message that found no process, and makes that no error.
func (r *Runtime) toNobody(err error) error {
	if errors.Is(err, ErrNoProcess) {
		r.stats.sentToNobody.Add(1)
		return nil
	}
	return err
}

// putID delivers to a local process or alias.
func (r *Runtime) putID(ctx context.Context, id uint64, msg Message, mode putMode) error {
	p := r.procs.get(id)
	if p == nil {
		a := r.aliases.get(id)
		if a == nil {
			return ErrNoProcess
		}
		if err := a.put(id, msg, mode); err != errWait {
			return err
		}
		return a.owner.putWait(ctx, msg)
	}
	if err := p.put(msg, mode); err != errWait {
		return err
	}
	return p.putWait(ctx, msg)
}

func (r *Runtime) putName(ctx context.Context, name string, msg Message, mode putMode) error {
	p := r.names.get(name)
	if p == nil {
		return ErrNoProcess
	}
	if err := p.put(msg, mode); err != errWait {
		return err
	}
	return p.putWait(ctx, msg)
}

// Deliver puts one value into the mailboxes of several local processes, and returns how many took it. It never blocks:
// at a full mailbox it does as a message from another node does. The processes share the value: none may change it.
func (r *Runtime) Deliver(local []PID, msg any) (delivered int) {
	for _, pid := range local {
		err := ErrNoProcess
		if r.local(pid) {
			err = r.putID(context.Background(), pid.ID, msg, putAsync)
		}
		if r.toNobody(err) == nil && err == nil {
			delivered++
		}
	}
	return delivered
}
