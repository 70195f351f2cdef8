package process

import (
	"context"
	"errors"
	"fmt"
)

// The codes of frameAck.
const (
	ackDelivered uint64 = iota
	ackNoProcess
	ackMailboxFull
)

// SendConfirmed is SendTo that returns nil once the message is in the mailbox, and else says at once why it is not:
// ErrNoProcess, ErrMailboxFull, ErrNoConnection (it may have arrived, if the connection was lost on the way), or the
// errors of Send. It takes one round trip, and is ordered with Send. At a full Block mailbox a local sender waits
// within ctx, and one of another node gets ErrMailboxFull.
func (r *Runtime) SendConfirmed(ctx context.Context, to Address, msg any) error {
	if r.closed.Load() {
		return ErrClosed
	}
	to, err := Resolve(to)
	if err != nil {
		return err
	}
	dest, f := r.remote(to)
	if dest.Name == "" {
		return explain(r.putConfirmed(ctx, to, msg), to)
	}
	f.kind = frameSendAck
	body, err := r.Encode(msg)
	if err != nil {
		return err
	}
	f.body, f.ref = body, r.lastRef.Add(1)
	answer, err := r.ask(ctx, dest, &f, &request{})
	if err != nil {
		return explain(err, to)
	}
	switch answer.aux {
	case ackDelivered:
		return nil
	case ackMailboxFull:
		return explain(ErrMailboxFull, to)
	}
	return explain(ErrNoProcess, to)
}

// putConfirmed delivers to an address of this node.
func (r *Runtime) putConfirmed(ctx context.Context, to Address, msg any) error {
	switch to := to.(type) {
	case PID:
		if r.local(to) {
			return r.putID(ctx, to.ID, msg, putLocal)
		}
	case Name:
		return r.putName(ctx, to.Name, msg, putLocal)
	}
	return ErrNoProcess
}

// explain says which address an error is about.
func explain(err error, to Address) error {
	if errors.Is(err, ErrNoProcess) || errors.Is(err, ErrMailboxFull) || errors.Is(err, ErrNoConnection) {
		return fmt.Errorf("%w: %v", err, to)
	}
	return err
}
