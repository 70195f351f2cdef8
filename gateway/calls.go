package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

const (
	callPrefix = "kith.fn."
	// HeaderNode names the node whose function is called.
	HeaderNode = "Kith-Node"
	// HeaderTimeout bounds a call, in the form of time.ParseDuration.
	HeaderTimeout = "Kith-Timeout"

	defaultTimeout = 5 * time.Second
	// maxTimeout is the most that a client may have a call run: NATS does not tell that nobody waits any more.
	maxTimeout = 10 * time.Minute
	// maxText bounds what an error repeats of what a client sent.
	maxText = 1 << 10
)

// function is one that clients can call, and how that went. The statistics of package micro cannot tell, since a call runs
// on when the handler that began it has returned.
type function struct {
	name          string
	running       atomic.Int64
	ended, failed atomic.Uint64
	spent         atomic.Int64 // by the calls that have ended, in nanoseconds
}

// functionStats is what $SRV.STATS says about the calls of a function, in the field data.
type functionStats struct {
	Running int64         `json:"running"`
	Ended   uint64        `json:"ended"`
	Failed  uint64        `json:"failed"`       // of those that ended, and those that could not begin
	Average time.Duration `json:"average_time"` // that one took, in nanoseconds
}

func (f *function) stats() functionStats {
	s := functionStats{Running: f.running.Load(), Ended: f.ended.Load(), Failed: f.failed.Load()}
	if s.Ended > 0 {
		s.Average = time.Duration(f.spent.Load() / int64(s.Ended))
	}
	return s
}

// endpointStats is asked by package micro for its answers to $SRV.STATS.
func (g *Gateway) endpointStats(e *micro.Endpoint) any {
	f, ok := g.functions.Load(e.Subject)
	if !ok {
		return nil
	}
	return f.(*function).stats()
}

// addEndpoints registers the functions that are new. The name of an endpoint must not hold dots, its subject may.
func (g *Gateway) addEndpoints() {
	for _, name := range g.cfg.Calls.Functions() {
		known, old := g.functions.LoadOrStore(callPrefix+name, &function{name: name})
		if old {
			continue
		}
		f := known.(*function)
		err := g.svc.AddEndpoint(strings.ReplaceAll(name, ".", "-"), micro.HandlerFunc(func(m micro.Request) { g.onCall(&request{f, m}) }),
			micro.WithEndpointSubject(callPrefix+name), micro.WithEndpointPendingLimits(maxBacklog, maxBacklogBytes),
			micro.WithEndpointMetadata(map[string]string{
				"function": name, "request": "application/json: one value, nothing is null", "response": "application/json",
			}))
		if err != nil && g.ctx.Err() == nil {
			g.log.Warn().Err(err).Str("function", name).Msg("a function cannot be offered to clients")
		}
	}
}

// request is what a client asks of a function. It is only read: micro.Request notes an error where package micro looks for
// it as soon as the handler has returned, which is before a call has ended, so answers go past it.
type request struct {
	fn  *function
	msg micro.Request
}

// onCall runs one call of a client on a goroutine of its own, so that no call waits for another.
func (g *Gateway) onCall(r *request) {
	g.calls.Add(1)
	if !answerable(r.msg.Reply()) {
		g.failed.Add(1)
		r.fn.failed.Add(1)
		return
	}
	if !g.room.take(len(r.msg.Data())) {
		g.overloads.Add(1)
		g.refuse(r, g.node.Name(), rpc.ErrOverload)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed { // the client asks another node, or waits in vain
		g.room.leave(len(r.msg.Data()))
		return
	}
	r.fn.running.Add(1)
	g.wg.Go(func() {
		defer g.room.leave(len(r.msg.Data()))
		began := time.Now()
		g.call(r)
		r.fn.spent.Add(int64(time.Since(began)))
		r.fn.ended.Add(1)
		r.fn.running.Add(-1)
	})
}

func (g *Gateway) call(r *request) {
	target := r.msg.Headers().Get(HeaderNode)
	if target == "" {
		target = g.node.Name()
	}
	timeout := defaultTimeout
	if text := r.msg.Headers().Get(HeaderTimeout); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > maxTimeout {
			g.refuse(r, target, fmt.Errorf("%w: %s %q is not a time such as 2s, of at most %v",
				rpc.ErrBadArgument, HeaderTimeout, clip(text), maxTimeout))
			return
		}
		timeout = d
	}
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	result, err := g.cfg.Calls.CallJSON(ctx, target, r.fn.name, r.msg.Data())
	if err != nil {
		g.refuse(r, target, err)
		return
	}
	if err := g.answer(r, &nats.Msg{Data: result}); errors.Is(err, nats.ErrMaxPayload) {
		g.refuse(r, target, fmt.Errorf("the answer has %d bytes: %w", len(result), err))
	}
}

// answer sends an answer, if one is wanted. What cannot be sent is counted, unless it is only too large, which the client
// can be told.
func (g *Gateway) answer(r *request, m *nats.Msg) error {
	if m.Subject = r.msg.Reply(); m.Subject == "" {
		return nil
	}
	err := g.conn.PublishMsg(m)
	if err != nil && !errors.Is(err, nats.ErrMaxPayload) {
		g.dropped.Add(1)
		g.log.Debug().Err(err).Str("function", r.fn.name).Msg("an answer to a client could not be sent")
	}
	return err
}

// problem is the body of an answer that is an error.
type problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Node    string `json:"node"`
	Func    string `json:"func"`
}

// refuse answers with an error.
func (g *Gateway) refuse(r *request, target string, err error) {
	g.failed.Add(1)
	r.fn.failed.Add(1)
	code, kind := classify(err)
	text := clip(err.Error())
	body, _ := json.Marshal(problem{Kind: kind, Message: text, Node: clip(target), Func: r.fn.name}) // strings always can be
	_ = g.answer(r, &nats.Msg{
		Header: nats.Header{micro.ErrorHeader: {oneLine(text)}, micro.ErrorCodeHeader: {code}}, Data: body,
	}) // counted there; it is never too large
}

// classify turns an error of a call into a code, as of HTTP, and a word.
func classify(err error) (code, kind string) {
	var remote *rpc.RemoteError
	var crash *rpc.RemotePanic
	switch {
	case errors.As(err, &remote):
		return "500", remote.Kind
	case errors.As(err, &crash):
		return "500", "panic"
	case errors.Is(err, rpc.ErrRefused):
		return "403", "refused"
	case errors.Is(err, rpc.ErrNoFunction):
		return "404", "no_function"
	case errors.Is(err, rpc.ErrBadArgument):
		return "400", "bad_argument"
	case errors.Is(err, node.ErrTooLarge):
		return "413", rpc.KindTooLarge
	case errors.Is(err, nats.ErrMaxPayload):
		return "500", rpc.KindTooLarge
	case errors.Is(err, rpc.ErrOverload):
		return "429", "overload"
	case errors.Is(err, rpc.ErrTimeout):
		return "504", "timeout"
	case errors.Is(err, rpc.ErrNoConnection), errors.Is(err, rpc.ErrNotSupported),
		errors.Is(err, rpc.ErrClosed), errors.Is(err, context.Canceled): // the other node, or this one, stops
		return "503", "no_connection"
	}
	return "500", "error"
}

// clip shortens a text in which a client may have written anything.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// oneLine makes a text fit a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
