package process

import "context"

// Send puts msg into the mailbox of the process to, on whatever node it lives. Messages from one goroutine to one
// process arrive in the order in which they were sent (SIG-01). It returns nil when there is no such process or no
// such node: such messages are counted, and lost (SIG-05).
func (r *Runtime) Send(ctx context.Context, to PID, msg any) error {
	if r.closed.Load() {
		return ErrClosed
	}
	if r.local(to) {
		p := r.table.get(to.ID)
		if p == nil || p.enqueue(msg) != nil {
			r.stats.sentToNobody.Add(1)
		}
		return nil
	}
	return r.sendRemote(ctx, to, msg)
}

func (r *Runtime) sendRemote(ctx context.Context, to PID, msg any) error {
	r.stats.sentToNobody.Add(1)
	return nil
}

// Deliver puts one value into the mailboxes of several local processes, and returns how many took it. It never blocks.
// The processes share the value: none of them may change it.
func (r *Runtime) Deliver(local []PID, msg any) (delivered int) {
	for _, pid := range local {
		if p := r.find(pid); p != nil && p.enqueue(msg) == nil {
			delivered++
		} else {
			r.stats.sentToNobody.Add(1)
		}
	}
	return delivered
}
