// Package quorum is agreement by majority: leases on keys, held by one node at a time, each with a fencing token that only
// grows. It is for what must never be held twice: a lock around something outside of the mesh, a leader that writes.
//
// It needs store nodes: 3 or 5 nodes of the mesh, each started with the addresses of all (node.Config.Store). Any node
// of the mesh can then use it; a majority of the stores must be reachable, and whoever cannot reach one gets ErrNoQuorum.
// Names and locks that must stay available in a partition, and converge after it, are package global's.
//
//	store, err := quorum.Open(ctx, n)
//	lease, err := store.Acquire(ctx, "billing", []byte("a@127.0.0.1"))
//	...
//	work(lease.Context(), lease.Token()) // the context ends before the lease can end elsewhere
//	err = lease.Release(ctx)
//
// AcquireShared lets all who name the same group hold a key together, Seize takes a key from whoever has it, Evict frees
// it, Amend changes its value. Watch follows what is held: package global keeps names and locks so, in quorum mode.
//
// # Promises
//
// Acquire, Seize, Release, Evict, Amend, Update and LookupConfirmed are linearizable: a history of them looks as if each
// happened at one moment between its call and its return. Lookup is a local read that promises convergence only.
//
// A token is greater than every token that was given for the same key before. Who guards a resource remembers the
// greatest it has seen and refuses lesser ones (Fence does that), so that a holder that was paused longer than its lease
// cannot write after the next one has.
//
// A lease is renewed after a quarter to a third of its time. Its context is cancelled with ErrLeaseLost when a renewal is
// refused, or when a margin before the lease's end no renewal has been confirmed; time is this node's monotonic clock, and
// counts on while the process is stopped. A process that was stopped longer than its lease may still run on for a moment
// after it wakes: that is what the token is for.
//
// An operation whose outcome was lost on the way is looked up before it is tried again: a value carries the mark of the
// operation that wrote it. Where that does not tell, since others have changed the key meanwhile, the call ends with
// ErrNoQuorum rather than do it twice.
//
// When a store that led the agreement dies, writes fail for some seconds, until the others have chosen anew; calls wait
// for that within their contexts.
//
// # Cost
//
// Each lease is renewed by a write of its own, as long as it is held: 10,000 leases of 10 s are 3,000 to 4,000 writes a
// second, about half of what three stores took on two cores. A mesh holds thousands of leases, and not hundreds of
// thousands; longer leases cost less.
package quorum
