package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

const (
	// defaultTimeout bounds a question when --timeout says nothing.
	defaultTimeout = 5 * time.Second
	// hedge is after how long a node that has not answered is left to itself and the next one is asked as well.
	hedge = 150 * time.Millisecond
	// lookAgain is the pause between two looks at who can be reached.
	lookAgain = 5 * time.Millisecond
	// goodbye bounds the leave of a node that only asked something.
	goodbye = 500 * time.Millisecond
)

// errNobody is the error when there is nobody to ask.
var errNobody = errors.New("no node is running")

// query is a hidden node that lives for one question. It is in no registry, and connects only to whom it asks.
type query struct {
	cfg   config.Config
	node  *node.Node
	calls *rpc.Server
}

// ask runs f with a node for one question, within the timeout of the configuration or else within usual.
func (a *app) ask(cmd *cobra.Command, cfg config.Config, usual time.Duration, f func(ctx context.Context, q *query) error) error {
	if err := somebody(cfg); err != nil {
		return err
	}
	if cfg.Timeout > 0 {
		usual = cfg.Timeout
	}
	q, err := a.startQuery(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer q.leave()
	ctx, cancel := context.WithTimeout(cmd.Context(), usual)
	defer cancel()
	err = f(ctx, q)
	if cmd.Context().Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// startQuery starts the node. It waits for nobody.
func (a *app) startQuery(ctx context.Context, cfg config.Config) (*query, error) {
	name := madeUpName("query")
	if cfg.Name != "" {
		name = fullName(cfg.Name)
	}
	secrets, err := loadCredentials(&cfg)
	if err != nil {
		return nil, err
	}
	if name, err = coveredName(cfg, secrets, name); err != nil {
		return nil, err
	}
	nc, err := nodeConfig(cfg, secrets, name, a.logger(cfg, zerolog.WarnLevel))
	if err != nil {
		return nil, err
	}
	nc.Hidden, nc.AutoConnect, nc.Advertise, nc.LeafListen = true, node.AutoNever, "", ""
	// A fixed port is that of the node which the same configuration is for.
	if r, err := address.ParseListen(nc.Listen); err == nil && r.From == r.To {
		nc.Listen = r.Host + ":0"
	}
	n, err := node.Start(ctx, nc)
	if err != nil {
		return nil, err
	}
	calls, err := rpc.New(n)
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	return &query{cfg: cfg, node: n, calls: calls}, nil
}

// leave ends the node.
func (q *query) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = q.node.Shutdown(ctx) // the answer is known by now; who cannot take the goodbye notices anyway
}

// somebody returns an error at once when it is certain that there is nobody to ask: the registry of this host is the
// only way to find nodes, and holds none.
func somebody(cfg config.Config) error {
	if len(cfg.Join) > 0 || cfg.Mode != config.ModeEmbedded || slices.ContainsFunc(cfg.Discover, func(s string) bool { return s != "local" && s != "none" }) {
		return nil
	}
	if slices.Contains(cfg.Discover, "local") {
		entries, err := discovery.List(cfg.DataDir, cfg.Mesh)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return nil
		}
	}
	return nobody(cfg)
}

// nobody says what to do about errNobody.
func nobody(cfg config.Config) error {
	return fmt.Errorf("%w in the mesh %q with the data dir %s: start one with kith node or kith chat, or name one of another host with --join HOST:PORT",
		errNobody, cfg.Mesh, cfg.DataDir)
}

// anyVisible connects to one visible node, whichever answers first, and returns its name. A frozen node costs at most
// a hedge.
func (q *query) anyVisible(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		name string
		err  error
	}
	answers := make(chan answer)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		_ = q.node.WaitReady(ctx)
	}()
	asked, pending := map[string]bool{}, 0
	var last time.Time
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		if pending == 0 || time.Since(last) > hedge {
			if name, found := q.nextVisible(asked); found {
				asked[name], last = true, time.Now()
				pending++
				go func() {
					_, err := q.node.Connect(ctx, name)
					select {
					case answers <- answer{name, err}:
					case <-ctx.Done():
					}
				}()
			}
		}
		select {
		case a := <-answers:
			if a.err == nil {
				return a.name, nil
			}
			pending--
		case <-settled:
			// Everybody who was found and answers has a route by now. Nobody is left to wait for but those nodes of this
			// host whose processes live: they may be busy rather than frozen.
			settled = nil
			if _, more := q.nextVisible(asked); !more && pending == 0 && (q.refusals() != "" || !q.hopes()) {
				return "", q.nobody()
			}
		case <-look.C:
		case <-ctx.Done():
			return "", q.explain(fmt.Errorf("no node of the mesh %q answers in time", q.cfg.Mesh))
		}
	}
}

// hopes says whether the registry of this host has a visible node.
func (q *query) hopes() bool {
	entries, _ := discovery.List(q.cfg.DataDir, q.cfg.Mesh)
	return slices.Contains(q.cfg.Discover, "local") && slices.ContainsFunc(entries, func(e discovery.Entry) bool { return !e.Hidden })
}

// nextVisible is a visible node that can be reached and was not asked yet.
func (q *query) nextVisible(asked map[string]bool) (string, bool) {
	for _, p := range q.node.Report().Peers {
		if !p.Hidden && (p.Reachable || p.Connected) && !asked[p.ID.Name] {
			return p.ID.Name, true
		}
	}
	return "", false
}

// connect connects to one node.
func (q *query) connect(ctx context.Context, name string) error {
	_, err := q.node.Connect(ctx, name)
	for errors.Is(err, node.ErrNoNode) && ctx.Err() == nil {
		// A node whose process lives answers sooner or later, unless it is frozen; a busy host makes it later.
		if _, found := q.entry(name); !found || q.refusals() != "" {
			break
		}
		_, err = q.node.Connect(ctx, name)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, node.ErrNoNode):
		if why := q.refused(name); why != "" {
			return fmt.Errorf("%s did not become a peer: %s", name, why)
		}
		if e, found := q.entry(name); found {
			return q.explain(fmt.Errorf("%s does not answer in time, though its process %d is there", name, e.PID))
		}
	}
	return q.explain(err)
}

// entry looks a node up in the registry of this host.
func (q *query) entry(name string) (discovery.Entry, bool) {
	entries, _ := discovery.List(q.cfg.DataDir, q.cfg.Mesh)
	i := slices.IndexFunc(entries, func(e discovery.Entry) bool { return e.Name == name })
	if i < 0 {
		return discovery.Entry{}, false
	}
	return entries[i], true
}

// nobody is the error when no visible node was found, or none that became a peer.
func (q *query) nobody() error {
	if why := q.refusals(); why != "" {
		return fmt.Errorf("no node of the mesh %q could be asked: %s", q.cfg.Mesh, why)
	}
	return nobody(q.cfg)
}

// explain adds to an error why nodes that were found did not become peers.
func (q *query) explain(err error) error {
	if why := q.refusals(); why != "" {
		return fmt.Errorf("%w (%s)", err, why)
	}
	return err
}

// refusals says why nodes that were found did not become peers; it is empty when there were none.
func (q *query) refusals() string {
	var why []string
	for _, r := range q.node.Report().Refusals {
		why = append(why, refusal(r.Addr, r.Name, r.Why))
	}
	return strings.Join(why, "; ")
}

// refused says why one node did not become a peer; it is empty when it was not refused.
func (q *query) refused(name string) string {
	for _, r := range q.node.Report().Refusals {
		if r.Name == name {
			return r.Why
		}
	}
	return ""
}

// refusal says why a candidate did not become a peer. Of one that came by itself there may be neither address nor name.
func refusal(addr, name, why string) string {
	if who := strings.TrimSpace(addr + " " + name); who != "" {
		return who + ": " + why
	}
	return why
}

// askVisible calls a function on visible nodes, one after another, until one of them can answer it: others may be
// programs that do not serve it, or do not run the scope that it is about. Beyond those that this node can reach already it
// asks those that the asked ones see. It returns the last error if none can.
func askVisible[Req, Resp any](ctx context.Context, q *query, fn string, req Req, another func(error) bool) (Resp, error) {
	var none Resp
	next, err := q.anyVisible(ctx)
	if err != nil {
		return none, err
	}
	asked := map[string]bool{}
	for {
		asked[next] = true
		resp, err := rpc.Call[Req, Resp](ctx, q.calls, next, fn, req)
		if err == nil || !another(err) {
			return resp, err
		}
		if next = q.nextAnswering(ctx, asked); next == "" {
			return none, err
		}
	}
}

// nextAnswering connects to a visible node that was not asked yet, and returns its name, or "" if there is none. It knows
// those that it can reach, and those that its peers see, which its routes may not have reached yet.
func (q *query) nextAnswering(ctx context.Context, asked map[string]bool) string {
	for {
		name, found := q.nextVisible(asked)
		if !found {
			if name, found = q.nextHearsay(ctx, asked); !found {
				return ""
			}
		}
		if _, err := q.node.Connect(ctx, name); err == nil {
			return name
		}
		asked[name] = true
	}
}

// nextHearsay is a visible node that a connected peer sees and that was not asked yet.
func (q *query) nextHearsay(ctx context.Context, asked map[string]bool) (string, bool) {
	for _, peer := range q.node.Peers() {
		list, err := rpc.Call[any, []admin.NodeInfo](ctx, q.calls, peer.Name, admin.FuncNodes, nil)
		if err != nil {
			continue
		}
		for _, n := range list {
			if n.Visibility == "visible" && !asked[n.Name] {
				return n.Name, true
			}
		}
	}
	return "", false
}
