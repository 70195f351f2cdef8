package pg

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/kith-mesh/kith/internal/queue"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// DefaultTimeout is how long CallAll waits for answers when its context has no deadline.
const DefaultTimeout = 5 * time.Second

// Reply is the answer of one member.
type Reply struct {
	From  process.PID
	Value any
}

// inquiry is one CallAll under way.
type inquiry struct {
	id      uint64
	results *queue.Queue[result] // at most one for each member

	mu      sync.Mutex                // guards the fields below
	nodes   map[node.ID][]process.PID // nodes that have not said whom they ask, with the members seen here
	pending map[process.PID]struct{}  // members that have not answered
	over    bool                      // nobody waits any more
}

type result struct {
	reply *Reply
	err   error
}

// nudge is a result that is none: there may be nobody left to wait for.
var nudge = result{}

// CallAll sends a message to every member of a group, like Broadcast, and yields their answers as they come: exactly
// one for each process, whether it has answered or not. The members receive a *Call. A process that joined more than
// once is asked once. It waits until everybody has answered, for ctx at most, or for DefaultTimeout if ctx has no
// deadline. Nothing is sent before the iteration begins; who ends it early tells the members that nobody waits.
//
// With an answer comes no error. Otherwise Reply.From says who has not answered, and the error why: *AnswerError when
// the member answered with Fail, process.ErrNoProcess when it ended first, process.ErrNoConnection when its node was
// lost, node.ErrWouldBlock when its node was behind and was skipped, ErrTimeout or ctx.Err() when the time was over. An
// error without From means that nothing was sent: see Broadcast.
func (s *Scope) CallAll(ctx context.Context, group string, msg any) iter.Seq2[Reply, error] {
	return func(yield func(Reply, error) bool) {
		if _, limited := ctx.Deadline(); !limited {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
			defer cancel()
		}
		q := &inquiry{
			results: queue.New[result](),
			nodes:   make(map[node.ID][]process.PID), pending: make(map[process.PID]struct{}),
		}
		s.g.calls.begin(q)
		defer s.abandon(q)
		if err := s.inquire(ctx, q, group, msg); err != nil {
			yield(Reply{}, err)
			return
		}
		s.collect(ctx, q, yield)
	}
}

// collect yields answers until there is nobody left to wait for.
func (s *Scope) collect(ctx context.Context, q *inquiry, yield func(Reply, error) bool) {
	for {
		complete := q.complete() // before the results are taken: what completes it is among them then
		if !q.flush(yield) || complete {
			return
		}
		var why error
		select {
		case <-q.results.Wake():
			continue
		case <-ctx.Done():
			why = timedOut(ctx.Err())
		case <-s.g.ctx.Done():
			why = fmt.Errorf("%w: scope %q", ErrClosed, s.name)
		}
		q.giveUp(why)
		q.flush(yield)
		return
	}
}

// flush yields what has come. It returns false when the caller has had enough.
func (q *inquiry) flush(yield func(Reply, error) bool) bool {
	for _, r := range q.results.Take(nil) {
		if r == nudge {
			continue
		}
		if !yield(*r.reply, r.err) {
			return false
		}
	}
	return true
}

// inquire sends the call to everybody.
func (s *Scope) inquire(ctx context.Context, q *inquiry, group string, msg any) error {
	if err := checkName("group", group); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	seen := make(map[node.ID][]process.PID)
	for _, m := range distinct(s.Subscribers(group)) {
		seen[m.NodeID()] = append(seen[m.NodeID()], m)
	}
	p, ok := s.plan(group)
	if !ok {
		return fmt.Errorf("%w: scope %q", ErrClosed, s.name)
	}
	defer p.free()
	defer p.leaveLanes()
	members := distinct(p.locals)
	if len(p.targets) == 0 {
		q.askLocal(s, group, msg, members)
		return nil
	}
	payload, err := s.g.rt.Encode(msg)
	if err != nil {
		return err
	}
	for i := range p.targets {
		q.expect(p.targets[i].id, seen[p.targets[i].id])
	}
	p.buf = appendKey(binary.AppendUvarint(appendHeader(p.buf[:0], kindCall, s.name), q.id), key{name: group})
	late, err := s.spread(ctx, p, group, payload)
	if err != nil {
		return err
	}
	q.askLocal(s, group, msg, members)
	for _, id := range s.waitFor(ctx, p, group, late, payload) {
		q.lose(id, node.ErrWouldBlock)
	}
	for i := range p.targets {
		if t := &p.targets[i]; t.state != sent {
			q.lose(t.id, process.ErrNoConnection)
		}
	}
	return nil
}

// askLocal asks the members of this node.
func (q *inquiry) askLocal(s *Scope, group string, msg any, members []process.PID) {
	if len(members) == 0 {
		return
	}
	q.mu.Lock()
	for _, m := range members {
		q.pending[m] = struct{}{}
	}
	q.mu.Unlock()
	c := newCall(s.g, s.name, group, s.g.self, q.id, msg, members)
	c.asker = q
	s.g.calls.take(c)
	c.ask(members)
}

// expect waits for a node to say whom it asks.
func (q *inquiry) expect(id node.ID, seen []process.PID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nodes[id] = seen
}

// accept waits for the members that a node has asked.
func (q *inquiry) accept(id node.ID, ids []uint64, more bool) {
	q.mu.Lock()
	if _, ok := q.nodes[id]; ok {
		q.nodes[id] = nil // those that were seen here and are not asked have left meanwhile
		for _, i := range ids {
			q.pending[pid(id, i)] = struct{}{}
		}
		if !more {
			delete(q.nodes, id)
		}
	}
	complete := len(q.nodes)+len(q.pending) == 0
	q.mu.Unlock()
	if complete {
		q.results.Push(nudge)
	}
}

// answer takes the answer of a member that has not answered yet.
func (q *inquiry) answer(from process.PID, value any, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.pending[from]; !ok || q.over {
		return
	}
	delete(q.pending, from)
	q.results.Push(result{&Reply{from, value}, err})
}

// lose ends the wait for a node and its members.
func (q *inquiry) lose(id node.ID, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return
	}
	for _, m := range q.nodes[id] {
		q.results.Push(result{&Reply{From: m}, why})
	}
	delete(q.nodes, id)
	for m := range q.pending {
		if m.NodeID() == id {
			delete(q.pending, m)
			q.results.Push(result{&Reply{From: m}, why})
		}
	}
	q.results.Push(nudge)
}

// giveUp ends the wait for everybody.
func (q *inquiry) giveUp(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, seen := range q.nodes {
		for _, m := range seen {
			q.results.Push(result{&Reply{From: m}, why})
		}
	}
	for m := range q.pending {
		q.results.Push(result{&Reply{From: m}, why})
	}
	q.over = true
}

func (q *inquiry) complete() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.nodes)+len(q.pending) == 0
}

// abandon ends an inquiry. Nodes where somebody might still answer are told that nobody waits.
func (s *Scope) abandon(q *inquiry) {
	s.g.calls.finish(q)
	if c := s.g.calls.taken(s.g.self, q.id); c != nil {
		c.release()
		s.g.calls.forget(c)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	asked := make(map[node.ID]struct{})
	for id := range q.nodes {
		asked[id] = struct{}{}
	}
	for m := range q.pending {
		if id := m.NodeID(); id != s.g.self {
			asked[id] = struct{}{}
		}
	}
	for id := range asked {
		s.g.post(id, binary.AppendUvarint(appendHeader(nil, kindCancel, s.name), q.id))
	}
}
