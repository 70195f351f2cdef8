package admin

import (
	"context"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// FuncGlobal is the function that lists the global names which a node sees.
const FuncGlobal = "kith.global"

// GlobalRequest is the argument of kith.global. An empty prefix is all names.
type GlobalRequest struct {
	Prefix Name `json:"prefix"`
}

// GlobalName is one global name, as a node sees it.
type GlobalName struct {
	Name Name        `json:"name"`
	PID  process.PID `json:"pid"`
	Node string      `json:"node"`
	// Meta is what the registration says of itself; it may be empty.
	Meta map[string]string `json:"meta,omitempty"`
	// Token is the fencing token of the registration.
	Token uint64 `json:"token"`
}

// ServeGlobal registers kith.global with calls, and adds the counters of the names to what kith.info answers, beside what
// Serve does, for a program that has global names. Errors: those of rpc.Server.Register.
func ServeGlobal(calls *rpc.Server, names *global.Registry) error {
	calls.SetInfo("global", func() any { return names.Stats() })
	return rpc.Register(calls, FuncGlobal, func(_ context.Context, r GlobalRequest) ([]GlobalName, error) {
		list := []GlobalName{}
		for _, e := range names.Entries(string(r.Prefix)) {
			list = append(list, GlobalName{
				Name: Name(e.Name), PID: e.PID, Node: e.PID.Node, Meta: e.Meta, Token: e.Version.Clock,
			})
		}
		return list, nil
	})
}
