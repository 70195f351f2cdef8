// Package rpc calls functions on other nodes of the mesh, by name, and serves such calls.
//
// A function is registered under a name on the nodes that serve it; code is never shipped. It takes one value and
// returns one value or an error:
//
//	s, err := rpc.New(n) // one for each node
//	err = rpc.Register(s, "stock.count", func(ctx context.Context, item string) (int, error) {
//		return count(ctx, item)
//	})
//
// and another node calls it:
//
//	left, err := rpc.Call[string, int](ctx, s, "warehouse@10.0.0.7", "stock.count", "chair")
//
// Around that there are Cast (nobody waits), Multicall (many nodes, one deadline), Future and Collection (answers taken
// later), Stream (many values, at the reader's pace), middleware at both ends, and IdempotencyKey (repeat a call
// without repeating its effect). Every node serves kith.echo, kith.sum, kith.sleep and kith.info.
//
// # Delivery
//
// A request is sent once and never repeated by this package. ErrTimeout and ErrNoConnection mean that nobody knows
// whether the function ran; CallError.Sent says false when it certainly did not. Repeat such a call under an
// idempotency key if it must not take effect twice. Answers that come late are dropped and counted, never delivered
// to somebody else.
//
// # Time
//
// Every call ends: at its context's deadline, else after DefaultTimeout; with NoTimeout when the session with the node
// ends. What is left of the time travels with the request and is the deadline of the function's context; giving up
// travels too, and ends that context. Functions are told, not stopped: one that ignores its context runs on.
//
// # Order
//
// There is none. Each request runs on a goroutine of its own, and two requests of one caller may overtake each other.
//
// # Values
//
// Go values travel as CBOR, []byte as it is, and what is asked in JSON is answered in JSON. A call to the caller's own
// node skips the broker and passes the value itself, so neither side may change what it passed; everything else is
// the same there: a goroutine of its own, the same errors, panics caught.
//
// # Errors
//
// What the function returned is a *RemoteError, with a kind for programs (see Errorf); a panic is a *RemotePanic, with
// the stack. Whatever else went wrong is a *CallError that matches one sentinel of this package. ErrorKind makes one
// word of any of them.
//
// # Limits
//
// A node runs at most DefaultLimit requests at once and refuses more with ErrOverload; MaxConcurrent does so for one
// function. A node that does not read blocks its own callers, within their deadlines, and nobody else's.
//
// # What it does not do
//
// It does not choose a node, retry, keep queues of work, or persist anything; package pg knows which nodes have
// members of a group. Between members of a mesh there is no authentication beyond the mesh's own: see Authorize.
package rpc
