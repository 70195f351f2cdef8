package global

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// A lease belongs to a node, and a name to the life of its process. So in quorum mode the node of the process registers
// it, also when another one wants that (GLOB-07): each registry has a server, whom the others ask.

// registration asks the node of a process to register it.
type registration struct {
	genserver.Returns[registered]
	Name        string        `cbor:"1,keyasint"`
	Incarnation uint64        `cbor:"2,keyasint"`
	ID          uint64        `cbor:"3,keyasint"`
	Meta        Meta          `cbor:"4,keyasint,omitempty"`
	Move        bool          `cbor:"5,keyasint,omitempty"`
	Within      time.Duration `cbor:"6,keyasint"`
}

// registered is the answer.
type registered struct {
	Token  uint64      `cbor:"1,keyasint,omitempty"`
	Code   answerCode  `cbor:"2,keyasint,omitempty"`
	Holder process.PID `cbor:"3,keyasint,omitempty"`
	Text   string      `cbor:"4,keyasint,omitempty"`
}

// maxDelegated bounds how many registrations for other nodes are under way: each has a goroutine.
const maxDelegated = 1024

// delegate registers processes of this node for others.
type delegate struct {
	g    *ledger
	rt   *process.Runtime
	name string // of its server, the same on every node
	room chan struct{}
}

// serve starts the server. It ends with the registry.
func (g *ledger) serve(rt *process.Runtime) error {
	d := &delegate{
		g: g, rt: rt, name: fmt.Sprintf("kith.global/%x", sha256.Sum256([]byte(g.r.space))), room: make(chan struct{}, maxDelegated),
	}
	server := &genserver.Server[*delegate]{
		Init:     func(*genserver.Self) (*delegate, error) { return d, nil },
		Handlers: []genserver.Handler[*delegate]{genserver.OnCallLater((*delegate).register)},
	}
	pid, err := server.Start(g.r.ctx, rt, process.WithName(d.name))
	if err != nil {
		return fmt.Errorf("starting a registry in quorum mode: %w", err)
	}
	g.delegate = d
	context.AfterFunc(g.r.ctx, func() { rt.Exit(pid, process.ErrKill) })
	return nil
}

// ask has the node of a process register it.
func (d *delegate) ask(ctx context.Context, e Entry, move bool) (Version, error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	deadline, _ := within.Deadline()
	value, err := e.record()
	if err != nil {
		return Version{}, fmt.Errorf("%w: %w", ErrBadArgument, err)
	}
	if err := d.g.expect(e.Name); err != nil {
		return Version{}, err
	}
	defer d.g.expected(e.Name)
	answer, err := genserver.Call(within, d.rt, process.Name{Name: d.name, Node: e.PID.Node}, registration{
		Name: e.Name, Incarnation: e.PID.Incarnation, ID: e.PID.ID, Meta: e.Meta, Move: move, Within: time.Until(deadline),
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Version{}, fmt.Errorf("%w: %w", ErrNoQuorum, ctx.Err())
	case errors.Is(err, genserver.ErrTimeout):
		return Version{}, fmt.Errorf("%w: %s did not answer within %v", ErrNoQuorum, e.PID.Node, patience)
	case errors.Is(err, process.ErrNoProcess):
		return Version{}, fmt.Errorf("%w: %s has no registry in quorum mode", ErrNotConnected, e.PID.Node)
	case errors.Is(err, process.ErrClosed):
		return Version{}, ErrClosed
	case errors.Is(err, process.ErrNoConnection):
		return Version{}, fmt.Errorf("%w: %s", ErrNotConnected, e.PID.Node)
	default:
		return Version{}, err
	}
	if err := decodeError(answer.Code, answer.Holder, answer.Text); err != nil {
		return Version{}, err
	}
	holder := quorum.Holder{Node: e.PID.Node, Incarnation: e.PID.Incarnation, Token: answer.Token, Value: value}
	d.g.follow(e.Name, holder, answer.Token)
	return Version{Clock: answer.Token, Node: e.PID.Incarnation}, nil
}

// register answers when the stores have, which the server does not wait for.
func (d *delegate) register(_ *genserver.Self, req registration, from genserver.From[registered]) error {
	if err := d.begin(req, from); err != nil {
		d.reply(from, Version{}, err)
	}
	return nil
}

func (d *delegate) reply(from genserver.From[registered], v Version, err error) {
	answer := registered{Token: v.Clock}
	answer.Code, answer.Holder, answer.Text = encodeError(err)
	from.Reply(d.rt, answer, nil)
}

// begin begins a registration, if there is room for it.
func (d *delegate) begin(req registration, from genserver.From[registered]) error {
	r := d.g.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	select {
	case d.room <- struct{}{}:
	default:
		r.stats.busy.Add(1)
		return ErrBusy
	}
	r.running.Go(func() {
		defer func() { <-d.room }()
		v, err := d.registerOwn(req)
		d.reply(from, v, err)
	})
	return nil
}

// registerOwn registers a process of this node for another one, which is not believed to have checked anything.
func (d *delegate) registerOwn(req registration) (Version, error) {
	r := d.g.r
	e := Entry{Name: req.Name, PID: r.pid(req.ID), Meta: req.Meta, Resolver: ResolveDefault}
	if err := e.check(); err != nil {
		return Version{}, err
	}
	if req.Incarnation != r.self.Incarnation {
		return Version{}, fmt.Errorf("%w: of an earlier life of %s", ErrNoProcess, r.self.Name)
	}
	ctx, cancel := context.WithTimeout(r.ctx, req.Within)
	defer cancel()
	return d.g.registerOwn(ctx, e, req.Move)
}
