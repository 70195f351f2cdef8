package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// The names of the functions.
const (
	FuncNodes     = "kith.nodes"
	FuncGroups    = "kith.groups"
	FuncMembers   = "kith.members"
	FuncBroadcast = "kith.broadcast"
	FuncStop      = "kith.stop"
	FuncReload    = "kith.reload"
)

// Config is what the functions look into. Runtime, Groups and Calls are required and belong to one node.
type Config struct {
	Runtime *process.Runtime
	Groups  *pg.Groups
	Calls   *rpc.Server
	// Stop is called, once or more, on a goroutine of its own, when somebody asks the node to leave. It should start the
	// program's own way to its end, whose last step is node.Shutdown. Nil means node.Shutdown itself.
	Stop func()
	// Reload, if not nil, is what kith.reload does: to read anew what may change while the program runs, such as cookies and
	// certificates. It is called on a goroutine of the call, and must be safe to call concurrently.
	Reload func() error
}

// Serve registers the functions with cfg.Calls, and adds the counters of the node, its processes and its groups to what
// kith.info answers. Call it once for a node. Errors: those of rpc.Server.Register.
func Serve(cfg Config) error {
	s := &server{Config: cfg, node: cfg.Runtime.Node()}
	cfg.Calls.SetInfo("node", func() any { return s.node.Counters() })
	cfg.Calls.SetInfo("process", func() any { return cfg.Runtime.Stats() })
	cfg.Calls.SetInfo("pg", func() any { return cfg.Groups.Stats() })
	var reload error
	if cfg.Reload != nil {
		reload = rpc.Register(cfg.Calls, FuncReload, s.reload)
	}
	return errors.Join(
		reload,
		rpc.Register(cfg.Calls, FuncNodes, s.nodes),
		rpc.Register(cfg.Calls, FuncGroups, s.groups),
		rpc.Register(cfg.Calls, FuncMembers, s.members),
		rpc.Register(cfg.Calls, FuncBroadcast, s.broadcast),
		rpc.Register(cfg.Calls, FuncReport, s.report),
		rpc.Register(cfg.Calls, FuncStop, s.stop),
	)
}

// NodeInfo is one node of the mesh.
type NodeInfo struct {
	// Name is the node's full name.
	Name string `json:"name"`
	// Visibility is "visible" or "hidden".
	Visibility string `json:"visibility"`
	// Draining says that it is about to leave.
	Draining bool `json:"draining,omitempty"`
}

// The values of NodeInfo.Visibility.
const (
	Visible = "visible"
	Hidden  = "hidden"
)

// GroupsRequest is the argument of kith.groups. An empty scope is pg.DefaultScope.
type GroupsRequest struct {
	Scope Name `json:"scope"`
}

// MembersRequest is the argument of kith.members.
type MembersRequest struct {
	Scope Name `json:"scope"`
	Group Name `json:"group"`
}

// Member is one process in a group; who joined twice is there twice.
type Member struct {
	PID  process.PID `json:"pid"`
	Node string      `json:"node"`
}

// BroadcastRequest is the argument of kith.broadcast. The members get the text as a string.
type BroadcastRequest struct {
	Scope Name   `json:"scope"`
	Group Name   `json:"group"`
	Text  string `json:"text"`
}

// Delivery says how far a broadcast went.
type Delivery struct {
	// Members and Nodes are how many members the message was sent to, and on how many nodes.
	Members int `json:"members"`
	Nodes   int `json:"nodes"`
	// Skipped are the nodes that were left out since they do not keep up.
	Skipped []string `json:"skipped,omitempty"`
}

type server struct {
	Config
	node *node.Node
}

// nodes lists this node and those it is connected to, by name.
func (s *server) nodes(context.Context, struct{}) ([]NodeInfo, error) {
	list := []NodeInfo{{Name: s.node.Name(), Visibility: visibility(s.node.Hidden()), Draining: s.node.IsDraining()}}
	for _, p := range s.node.Report().Peers {
		if p.Connected {
			list = append(list, NodeInfo{Name: p.ID.Name, Visibility: visibility(p.Hidden), Draining: p.Draining})
		}
	}
	slices.SortFunc(list, func(a, b NodeInfo) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// reload has the program read its secrets anew.
func (s *server) reload(context.Context, struct{}) (bool, error) {
	if err := s.Reload(); err != nil {
		return false, err
	}
	return true, nil
}

func visibility(hidden bool) string {
	if hidden {
		return Hidden
	}
	return Visible
}

func (s *server) groups(_ context.Context, r GroupsRequest) ([]Name, error) {
	scope, err := s.scope(r.Scope)
	if err != nil {
		return nil, err
	}
	list := []Name{}
	for _, g := range scope.Groups() {
		list = append(list, Name(g))
	}
	slices.Sort(list)
	return list, nil
}

func (s *server) members(_ context.Context, r MembersRequest) ([]Member, error) {
	scope, err := s.scope(r.Scope)
	if err != nil {
		return nil, err
	}
	list := []Member{}
	for _, pid := range scope.Members(string(r.Group)) {
		list = append(list, Member{PID: pid, Node: pid.Node})
	}
	slices.SortFunc(list, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), cmp.Compare(a.PID.Incarnation, b.PID.Incarnation), cmp.Compare(a.PID.ID, b.PID.ID))
	})
	return list, nil
}

func (s *server) broadcast(ctx context.Context, r BroadcastRequest) (Delivery, error) {
	scope, err := s.scope(r.Scope)
	if err != nil {
		return Delivery{}, err
	}
	d, err := scope.Broadcast(ctx, string(r.Group), r.Text)
	out := Delivery{Members: d.Members, Nodes: d.Nodes}
	for _, id := range d.Skipped {
		out.Skipped = append(out.Skipped, id.Name)
	}
	return out, err
}

// KindNoScope is the kind of the error for a scope that does not run on the asked node, which therefore knows nothing
// of its groups. Another node may.
const KindNoScope = "no_scope"

// scope finds a running scope, without starting it.
func (s *server) scope(name Name) (*pg.Scope, error) {
	if name == "" {
		name = pg.DefaultScope
	}
	scope, runs := s.Groups.Lookup(string(name))
	if !runs {
		return nil, rpc.Errorf(KindNoScope, "%s does not run the scope %q", s.node.Name(), string(name))
	}
	return scope, nil
}

func (s *server) stop(context.Context, struct{}) (bool, error) {
	go func() {
		if s.Stop != nil {
			s.Stop()
			return
		}
		_ = s.node.Shutdown(context.Background())
	}()
	return true, nil
}
