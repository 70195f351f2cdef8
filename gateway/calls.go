package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/kith-mesh/kith/rpc"
)

const (
	callPrefix = "kith.fn."
	// HeaderNode names the node whose function is called.
	HeaderNode = "Kith-Node"
	// HeaderTimeout bounds a call, in the form of time.ParseDuration.
	HeaderTimeout = "Kith-Timeout"

	defaultTimeout = 5 * time.Second
)

// addEndpoints registers the functions that are new. The name of an endpoint must not hold dots, its subject may.
func (g *Gateway) addEndpoints() {
	for _, name := range g.cfg.Calls.Functions() {
		if g.endpoints[name] {
			continue
		}
		g.endpoints[name] = true
		err := g.svc.AddEndpoint(strings.ReplaceAll(name, ".", "-"), micro.HandlerFunc(func(r micro.Request) { g.onCall(name, r) }),
			micro.WithEndpointSubject(callPrefix+name), micro.WithEndpointPendingLimits(maxBacklog, maxBacklogBytes),
			micro.WithEndpointMetadata(map[string]string{
				"function": name, "request": "application/json: one value, nothing is null", "response": "application/json",
			}))
		if err != nil && g.ctx.Err() == nil {
			g.log.Warn().Err(err).Str("function", name).Msg("a function cannot be offered to clients")
		}
	}
}

// onCall runs one call of a client on a goroutine of its own, so that no call waits for another.
func (g *Gateway) onCall(name string, r micro.Request) {
	g.calls.Add(1)
	select {
	case g.slots <- struct{}{}:
	default:
		g.overloads.Add(1)
		g.refuse(r, name, g.node.Name(), rpc.ErrOverload)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed { // the client asks another node, or waits in vain
		<-g.slots
		return
	}
	g.wg.Go(func() {
		defer func() { <-g.slots }()
		g.call(name, r)
	})
}

func (g *Gateway) call(name string, r micro.Request) {
	target := r.Headers().Get(HeaderNode)
	if target == "" {
		target = g.node.Name()
	}
	timeout := defaultTimeout
	if text := r.Headers().Get(HeaderTimeout); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			g.refuse(r, name, target, fmt.Errorf("%w: %s %q is not a time such as 2s", rpc.ErrBadArgument, HeaderTimeout, text))
			return
		}
		timeout = d
	}
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	result, err := g.cfg.Calls.CallJSON(ctx, target, name, r.Data())
	if err != nil {
		g.refuse(r, name, target, err)
		return
	}
	if err := r.Respond(result); err != nil {
		g.dropped.Add(1)
		g.log.Debug().Err(err).Str("function", name).Msg("an answer to a client could not be sent")
	}
}

// problem is the body of an answer that is an error.
type problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Node    string `json:"node"`
	Func    string `json:"func"`
}

// refuse answers with an error.
func (g *Gateway) refuse(r micro.Request, name, target string, err error) {
	g.failed.Add(1)
	code, kind := classify(err)
	body, failed := json.Marshal(problem{Kind: kind, Message: err.Error(), Node: target, Func: name})
	if failed == nil {
		failed = r.Error(code, oneLine(err.Error()), body)
	}
	if failed != nil {
		g.dropped.Add(1)
		g.log.Debug().Err(failed).Str("function", name).Msg("an error could not be sent to a client")
	}
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
	case errors.Is(err, rpc.ErrOverload):
		return "429", "overload"
	case errors.Is(err, rpc.ErrTimeout):
		return "504", "timeout"
	case errors.Is(err, rpc.ErrNoConnection), errors.Is(err, rpc.ErrNotSupported):
		return "503", "no_connection"
	}
	return "500", "error"
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
