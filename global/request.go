package global

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/process"
)

// request is something asked of a peer, whose answer is awaited.
type request struct {
	to   *peer
	done func(error)
}

// asked is the kind of an ask.
type asked byte

const (
	askRegister   asked = 1
	askMove       asked = 2
	askUnregister asked = 3
	askMeta       asked = 4
)

// answerCode is the result of an ask on the wire.
type answerCode byte

const (
	answerOK        answerCode = 0
	answerTaken     answerCode = 1
	answerHasName   answerCode = 2
	answerNoProcess answerCode = 3
	answerNoName    answerCode = 4
	answerOther     answerCode = 5
	answerNoQuorum  answerCode = 6
	answerBusy      answerCode = 7
	answerClosed    answerCode = 8
	answerApart     answerCode = 9
)

// maxText bounds the text of an error that travels, in bytes.
const maxText = 1024

// register registers a process, here or by asking its node. The claim that it returns can be abandoned; it is nil for a
// process elsewhere, whose node goes on. The version of the registration is in out when done is called.
func (c *core) register(e Entry, move bool, out *Version, done func(error)) *claim {
	if e.PID.NodeID() == c.self {
		cl := &claim{Entry: e, move: move, out: out, done: done}
		c.begin(cl)
		return cl
	}
	kind := askRegister
	if move {
		kind = askMove
	}
	c.askPeer(e, kind, func(err error) {
		if now := c.candidate(e.Name, e.PID.NodeID()); now != nil && err == nil {
			*out = now.Version
		}
		done(err)
	})
	return nil
}

// unregister takes the name from whoever has it. Nobody is no error (GLOB-14).
func (c *core) unregister(name string, done func(error)) {
	var result error
	g := &gather{left: 1, done: func() { done(result) }}
	for _, e := range append([]*entry(nil), c.names[name]...) {
		if e.owner() == c.self {
			c.unregisterOwn(e, g)
			continue
		}
		g.left++
		c.askPeer(Entry{Name: name, PID: e.PID}, askUnregister, func(err error) {
			if err != nil {
				result = err
			}
			g.arrived()
		})
	}
	g.arrived()
}

func (c *core) unregisterOwn(e *entry, g *gather) {
	cl := e.claim
	e.claim = nil
	c.withdraw(e, ByCall, g)
	if cl != nil {
		c.finish(cl, nil) // it had the name for a moment
	}
}

// setMeta replaces the metadata of whoever has the name.
func (c *core) setMeta(name string, meta Meta, done func(error)) {
	e := c.shown(name)
	switch {
	case e == nil:
		done(ErrNoName)
	case e.owner() == c.self:
		fresh := &entry{Entry: e.Entry, moved: e.moved, claim: e.claim}
		fresh.Meta = meta
		if cl := e.claim; cl != nil {
			cl.e = fresh
			c.put(fresh, nil, ByCall)
			c.tell(fresh, &gather{done: func() { c.agreed(fresh); done(nil) }})
			return
		}
		c.put(fresh, nil, ByCall)
		c.tell(fresh, &gather{done: func() { done(nil) }})
	default:
		c.askPeer(Entry{Name: name, PID: e.PID, Meta: meta}, askMeta, done)
	}
}

// askPeer asks the node of a process to do something.
func (c *core) askPeer(e Entry, kind asked, done func(error)) {
	p := c.peers[e.PID.NodeID()]
	if p == nil {
		done(fmt.Errorf("%w: %s", ErrNotConnected, e.PID.Node))
		return
	}
	if p.apart { // one that has not said yet which space it has answers for itself
		done(fmt.Errorf("%w: %s", errApart, e.PID.Node))
		return
	}
	id := c.nextID()
	c.requests[id] = &request{to: p, done: done}
	c.send(p, func(b []byte) []byte {
		b = append(appendID(b, opAsk, id), byte(kind))
		b = binary.AppendUvarint(appendString(b, e.Name), e.PID.ID)
		return appendString(appendMeta(b, e.Meta), e.Resolver)
	})
}

// onAsk does for a peer what it has asked for.
func (c *core) onAsk(p *peer, r *reader) {
	id, kind, name := r.uint(), asked(r.byte()), r.name()
	e := Entry{Name: name, PID: process.PID{Node: c.self.Name, Incarnation: c.self.Incarnation, ID: r.uint()}}
	e.Meta, e.Resolver = r.meta(), r.string(MaxName)
	if r.err != nil {
		return
	}
	if len(e.Meta) == 0 {
		e.Meta = nil
	}
	done := func(err error) {
		if c.peers[p.id] == p {
			c.send(p, func(b []byte) []byte { return appendAnswer(b, id, err) })
		}
	}
	if !p.joined {
		done(errApart)
		return
	}
	switch kind {
	case askRegister, askMove:
		c.begin(&claim{Entry: e, move: kind == askMove, done: done})
	case askUnregister:
		g := &gather{left: 1, done: func() { done(nil) }}
		if own := c.own(name); own != nil {
			c.unregisterOwn(own, g)
		}
		g.arrived()
	case askMeta:
		if c.own(name) == nil {
			done(ErrNoName)
			return
		}
		c.setMeta(name, e.Meta, done)
	default:
		r.fail("unknown request")
	}
}

func appendAnswer(b []byte, id uint64, err error) []byte {
	code, holder, text := encodeError(err)
	return appendString(appendPID(append(appendID(b, opAnswer, id), byte(code)), holder), text)
}

// encodeError is an error of this package on the wire.
func encodeError(err error) (code answerCode, holder process.PID, text string) {
	var taken *TakenError
	switch {
	case err == nil:
		return answerOK, holder, ""
	case errors.As(err, &taken):
		return answerTaken, taken.Holder, taken.Name
	case errors.Is(err, ErrHasName):
		return answerHasName, holder, ""
	case errors.Is(err, ErrNoProcess):
		return answerNoProcess, holder, ""
	case errors.Is(err, ErrNoName):
		return answerNoName, holder, ""
	case errors.Is(err, ErrNoQuorum):
		return answerNoQuorum, holder, ""
	case errors.Is(err, ErrBusy):
		return answerBusy, holder, ""
	case errors.Is(err, ErrClosed):
		return answerClosed, holder, ""
	case errors.Is(err, errApart):
		return answerApart, holder, ""
	}
	text = err.Error()
	return answerOther, holder, text[:min(len(text), maxText)]
}

// decodeError is the error that encodeError was given.
func decodeError(code answerCode, holder process.PID, text string) error {
	switch code {
	case answerOK:
		return nil
	case answerTaken:
		return &TakenError{Name: text, Holder: holder}
	case answerHasName:
		return ErrHasName
	case answerNoProcess:
		return ErrNoProcess
	case answerNoName:
		return ErrNoName
	case answerNoQuorum:
		return ErrNoQuorum
	case answerBusy:
		return ErrBusy
	case answerClosed:
		return fmt.Errorf("%w: the registry of its node is closed", ErrNotConnected)
	case answerApart:
		return errApart
	}
	return errors.New(text)
}

func (c *core) onAnswer(p *peer, r *reader) {
	id, code, holder, text := r.uint(), answerCode(r.byte()), r.pid(), r.string(maxText)
	if r.err != nil {
		return
	}
	c.answered(p, id, decodeError(code, holder, text))
}

// answered ends a request.
func (c *core) answered(p *peer, id uint64, err error) {
	r := c.requests[id]
	if r == nil || r.to != p {
		c.fx.ignored()
		return
	}
	delete(c.requests, id)
	r.done(err)
}

// ping makes a round trip to a peer.
func (c *core) ping(p *peer, done func(error)) {
	id := c.nextID()
	c.requests[id] = &request{to: p, done: done}
	c.send(p, func(b []byte) []byte { return appendID(b, opPing, id) })
}
