// Package global gives processes names that are unique in the mesh, and resources locks.
//
// Every node holds the whole table, so that looking a name up is a read of local memory. Each node is the only writer of
// the names of its own processes and tells them to every peer in order, as package pg does; what decides who gets a name
// is one node for each name, its arbiter. No lock of the whole mesh is taken, by nothing.
//
//	names, err := global.New(runtime)
//	err = names.Register(ctx, "printer", pid)   // errors.Is(err, global.ErrTaken): somebody else has it
//	pid, ok := names.Whereis("printer")         // on any node
//	_, err = names.Send(ctx, "printer", job)
//
// # Promises
//
//  1. When Register returns nil, the name resolves on this node and on every connected node that answers. Of those who
//     race for a name, one gets it, and the others learn who.
//  2. A name lives as long as its process, its node's session, or until somebody unregisters it. Nothing that is gone
//     comes back, whichever links are cut and mended, and a broken link takes from two nodes the names of each other's
//     processes and from nobody else anything.
//  3. A node that does not answer costs a call one tick, once. Until it answers again nobody waits for it, and it is told
//     what has changed before its word counts. But what only it can do takes until it answers or its session ends:
//     Register of one of its processes, Unregister and SetMeta of their names, and Sync, which wait within their contexts.
//  4. Each partition goes on by itself. When two meet, their names are joined; a name that both had is resolved once, by
//     the resolver that it was registered with, on the lower of the two nodes, and the process that loses it is told.
//  5. A monitor gets a snapshot and then every change, exactly and once, in the order in which this node made them.
//
// # Choose
//
// All this is the available mode, which is the default: while a partition lasts, a name or a lock may have two holders, one
// on each side. Who cannot live with that passes the version of the registration, or the token of the lock, along with
// what it writes, so that the older of two writers can be refused; or makes the registry with [Quorum]. In quorum mode the
// mesh's store nodes agree on each name and lock by majority: never two holders, and none that is new on the side of a
// minority, whose calls fail with ErrNoQuorum. A call takes a round trip to the stores and their disks, the names of a node
// that died stay until their leases end, some seconds later, and WhereisConfirmed asks the stores where Whereis reads the
// copy of this node. Each name costs a write to the stores every few seconds (see package quorum), so there may be
// thousands, and not the 100,000 of the available mode. Versions are tokens that grow whatever happens.
//
// # What it does not do
//
// Hidden nodes have a table of their own. In available mode nothing is stored, and in quorum mode there is nothing to
// resolve, and no lock on some nodes only.
//
// # Otherwise than in Erlang
//
//   - A dead process is not registered (GLOB-13), and not returned on its own node from the moment of its death (GLOB-09).
//   - Nobody waits for a resolver, and no node for longer than a tick for another one (GLOB-27, GLOB-71).
//   - A resolver that panics has one of the two keep the name and the other told (GLOB-35). The process that is ended by the
//     default resolver is told first, has a grace period, and can trap its end (GLOB-36). Which of two resolvers counts is
//     defined: that of the older registration (GLOB-40).
//   - Nodes are never expelled, and names that were unregistered on one side of a partition stay so (GLOB-47, GLOB-51).
//   - Each call of Lock has a handle of its own, so that nothing gives back what another call took (GLOB-57, GLOB-62). A lock
//     needs all nodes that it names (GLOB-63). New nodes learn the locks there are, and one of two holders that meet loses
//     his, and is told (GLOB-64).
//   - A node that was frozen does not believe in its own names before its peers have confirmed them (GLOB-72).
package global
