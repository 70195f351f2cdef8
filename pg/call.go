package pg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// Call is the message that the members of a group receive when somebody uses CallAll. All members on one node receive
// the same *Call. Each of them answers once, with Reply or Fail, from any goroutine.
type Call struct {
	// Group is the group that was called.
	Group string
	// From is the node of the caller.
	From node.ID
	// Msg is what the caller sent. It must not be changed.
	Msg any

	g     *Groups
	scope string
	id    uint64
	asker *inquiry // when the caller is on this node

	mu      sync.Mutex        // guards the fields below
	waiting map[uint64]func() // the members that have not answered, with what ends the watch on them
	sending map[uint64]bool   // the members whose answer is being sent; true for one that has ended meanwhile
}

// AnswerError is what the caller gets for a member that answered with Fail.
type AnswerError struct {
	// Message is the text of the member's error.
	Message string
}

// Error is the member's text.
func (e *AnswerError) Error() string { return e.Message }

// Reply answers for one member. It blocks while the caller's node does not take anything in, within ctx. Errors:
// ErrAnswered when this member has answered or the caller waits no more, node.ErrNotConnected when the caller's node is
// gone, node.ErrTooLarge, and those of process.Runtime.Encode for a caller elsewhere; the member then counts as one
// that has not answered.
func (c *Call) Reply(ctx context.Context, from process.PID, value any) error {
	if c.asker != nil {
		return c.settle(from, func() error {
			c.asker.answer(from, value, nil)
			return nil
		})
	}
	payload, err := c.g.rt.Encode(value)
	if err != nil {
		return err
	}
	return c.settle(from, func() error { return c.send(ctx, from.ID, answerValue, payload) })
}

// Fail answers for one member with an error. The caller gets its text, as an *AnswerError. Errors: those of Reply.
func (c *Call) Fail(ctx context.Context, from process.PID, why error) error {
	return c.settle(from, func() error {
		if c.asker != nil {
			c.asker.answer(from, nil, &AnswerError{Message: why.Error()})
			return nil
		}
		return c.send(ctx, from.ID, answerError, []byte(why.Error()))
	})
}

// settle does what answers for a member, if it has to answer. After an error it may try again, unless it has ended.
func (c *Call) settle(from process.PID, send func() error) error {
	cancel, ok := c.take(from)
	if !ok {
		return fmt.Errorf("%w: %v", ErrAnswered, from)
	}
	if err := send(); err != nil {
		if c.untake(from, cancel) {
			c.gone(from) // which had nobody to answer for while this was being sent
		}
		return err
	}
	if cancel != nil {
		cancel()
	}
	c.mu.Lock()
	delete(c.sending, from.ID)
	c.mu.Unlock()
	c.done()
	return nil
}

// take moves a member from those that have not answered to those whose answer is being sent.
func (c *Call) take(from process.PID) (cancel func(), ok bool) {
	if from.NodeID() != c.g.self {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel, ok = c.waiting[from.ID]; ok {
		delete(c.waiting, from.ID)
		c.sending[from.ID] = false
	}
	return cancel, ok
}

// untake moves it back, and reports whether it has ended meanwhile.
func (c *Call) untake(from process.PID, cancel func()) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != nil {
		c.waiting[from.ID] = cancel
	}
	ended = c.sending[from.ID]
	delete(c.sending, from.ID)
	return ended
}

// done forgets the call when everybody has answered.
func (c *Call) done() {
	c.mu.Lock()
	left := len(c.waiting) + len(c.sending)
	c.mu.Unlock()
	if left == 0 {
		c.g.calls.forget(c)
	}
}

func (c *Call) header(k kind) []byte {
	return binary.AppendUvarint(appendHeader(nil, k, c.scope), c.id)
}

func (c *Call) reply(id uint64, a answer) []byte {
	return append(binary.AppendUvarint(c.header(kindReply), id), byte(a))
}

func (c *Call) send(ctx context.Context, id uint64, a answer, payload []byte) error {
	return c.g.net.Send(ctx, c.From, node.ProtocolGroups, node.NoConnect, c.reply(id, a), payload)
}

// gone answers for a member that has ended. It never blocks.
func (c *Call) gone(member process.PID) {
	if !c.takeEnded(member) {
		return
	}
	if c.asker != nil {
		c.asker.answer(member, nil, process.ErrNoProcess)
	} else {
		c.g.post(c.From, c.reply(member.ID, answerGone))
	}
	c.done()
}

// takeEnded removes a member that has ended from those that have not answered. While its answer is being sent, it notes
// that it has ended, for the case that the answer cannot be sent.
func (c *Call) takeEnded(member process.PID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, sending := c.sending[member.ID]; sending {
		c.sending[member.ID] = true
		return false
	}
	_, ok := c.waiting[member.ID]
	delete(c.waiting, member.ID)
	return ok
}

// release ends the watches: nobody waits for the answers any more.
func (c *Call) release() {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, cancel := range waiting {
		if cancel != nil {
			cancel()
		}
	}
}

// ask gives the call to members of this node. They have been announced to the caller.
func (c *Call) ask(members []process.PID) {
	for _, m := range members {
		cancel := c.g.rt.Watch(m, func(error) { c.gone(m) })
		c.mu.Lock()
		_, waits := c.waiting[m.ID]
		if waits {
			c.waiting[m.ID] = cancel
		}
		c.mu.Unlock()
		if !waits && cancel != nil {
			cancel()
		}
	}
	c.g.stats.delivered.Add(uint64(c.g.rt.Deliver(members, c)))
}

// newCall makes a call that waits for members of this node.
func newCall(g *Groups, scope, group string, from node.ID, id uint64, msg any, members []process.PID) *Call {
	c := &Call{Group: group, From: from, Msg: msg, g: g, scope: scope, id: id, waiting: make(map[uint64]func()),
		sending: make(map[uint64]bool)}
	for _, m := range members {
		c.waiting[m.ID] = nil
	}
	return c
}

// distinct removes the repetitions of a list: a process is asked once, however often it joined.
func distinct(list []process.PID) []process.PID {
	seen := make(map[process.PID]struct{}, len(list))
	once := make([]process.PID, 0, len(list))
	for _, m := range list {
		if _, ok := seen[m]; !ok {
			seen[m] = struct{}{}
			once = append(once, m)
		}
	}
	return once
}

// onCall takes a call of another node.
func (s *Scope) onCall(from node.ID, r *reader) {
	id := r.uint()
	name, pattern := r.name()
	if r.err != nil || pattern {
		r.fail("bad call")
		return
	}
	p := plans.Get().(*plan)
	s.mu.RLock()
	s.locals(p, name)
	s.mu.RUnlock()
	members := distinct(p.locals)
	p.free()
	msg, err := s.g.rt.Decode(r.b)
	c := newCall(s.g, s.name, string(name), from, id, msg, members)
	c.accept(members)
	switch {
	case err != nil:
		s.g.stats.badMessages.Add(1)
		for _, m := range members {
			s.g.post(from, c.reply(m.ID, answerError), []byte(err.Error()))
		}
	case len(members) > 0:
		s.g.calls.take(c)
		c.ask(members)
	}
}

// accept tells the caller whom its call is given to.
func (c *Call) accept(members []process.PID) {
	ids := make([]uint64, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	for more := true; more; {
		n := min(len(ids), chunkIDs)
		var flags byte
		if more = n < len(ids); more {
			flags = acceptMore
		}
		c.g.post(c.From, appendIDs(append(c.header(kindAccept), flags), ids[:n]))
		ids = ids[n:]
	}
}

// onCallFrame takes what belongs to a call that is under way.
func (g *Groups) onCallFrame(p node.Peer, k kind, r *reader) {
	id := r.uint()
	switch k {
	case kindAccept:
		flags := r.byte()
		ids := r.ids()
		if q := g.calls.inquiry(id); q != nil && r.err == nil {
			q.accept(p.ID, ids, flags&acceptMore != 0)
		}
	case kindReply:
		from := pid(p.ID, r.uint())
		a := answer(r.byte())
		if r.err != nil {
			return
		}
		if q := g.calls.inquiry(id); q != nil {
			value, err := g.answerOf(a, r.b)
			q.answer(from, value, err)
		}
	case kindCancel:
		if c := g.calls.taken(p.ID, id); c != nil && r.err == nil {
			c.release()
			g.calls.forget(c)
		}
	}
}

func (g *Groups) answerOf(a answer, payload []byte) (any, error) {
	switch a {
	case answerValue:
		return g.rt.Decode(payload)
	case answerError:
		return nil, &AnswerError{Message: string(payload)}
	case answerGone:
		return nil, process.ErrNoProcess
	}
	return nil, fmt.Errorf("%w: answer of kind %d", ErrBadFrame, a)
}

// calls are those of one node: what it asks others and what it is asked.
type calls struct {
	mu    sync.Mutex // guards the fields below
	last  uint64
	asks  map[uint64]*inquiry
	takes map[callKey]*Call
}

type callKey struct {
	from node.ID
	id   uint64
}

func (cs *calls) init() {
	cs.asks, cs.takes = make(map[uint64]*inquiry), make(map[callKey]*Call)
}

func (cs *calls) inquiry(id uint64) *inquiry {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.asks[id]
}

func (cs *calls) begin(q *inquiry) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.last++
	q.id = cs.last
	cs.asks[q.id] = q
}

func (cs *calls) finish(q *inquiry) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.asks, q.id)
}

func (cs *calls) take(c *Call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.takes[callKey{c.From, c.id}] = c
}

func (cs *calls) taken(from node.ID, id uint64) *Call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.takes[callKey{from, id}]
}

func (cs *calls) forget(c *Call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.takes, callKey{c.From, c.id})
}

// lost ends what a lost peer asked and was asked.
func (cs *calls) lost(id node.ID) {
	cs.mu.Lock()
	var taken []*Call
	for k, c := range cs.takes {
		if k.from == id {
			taken = append(taken, c)
			delete(cs.takes, k)
		}
	}
	asks := make([]*inquiry, 0, len(cs.asks))
	for _, q := range cs.asks {
		asks = append(asks, q)
	}
	cs.mu.Unlock()
	for _, c := range taken {
		c.release()
	}
	for _, q := range asks {
		q.lose(id, process.ErrNoConnection)
	}
}

// end releases all calls: their members do not answer any more.
func (cs *calls) end() {
	cs.mu.Lock()
	taken := cs.takes
	cs.takes = make(map[callKey]*Call)
	cs.mu.Unlock()
	for _, c := range taken {
		for _, m := range c.unanswered() {
			c.gone(m)
		}
	}
}

func (c *Call) unanswered() []process.PID {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]process.PID, 0, len(c.waiting))
	for id := range c.waiting {
		list = append(list, pid(c.g.self, id))
	}
	return list
}

// timedOut makes the error of a member that has not answered.
func timedOut(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}
