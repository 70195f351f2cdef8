// Package pg keeps process groups: named sets of processes that everybody in the mesh sees, joins, leaves, watches and
// talks to as one.
//
// A group belongs to a scope, begins with its first member and ends with its last. Each node is the only writer of its
// own processes' memberships; it tells its peers of every change in order, and a peer that has just appeared of all of
// them. What dies leaves.
//
// # Promises
//
//  1. A node sees its own changes at once. Connected nodes agree soon, and after a partition they see what each side
//     has by then: nothing that has left or died comes back.
//  2. Who sees a member can reach it: a broadcast after the member has become visible gets there.
//  3. A monitor gets a snapshot and then every change, exactly and once, in the order in which this node made them. One
//     who reads too slowly is told so, and resynchronises; nothing is cut silently.
//  4. A broadcast crosses the wire once per node with members, however many members there are. What one goroutine
//     sends arrives in order. A node that does not keep up is told how many broadcasts it missed.
//
// # Beyond Erlang's pg
//
// Members carry metadata (JoinWith, SetMeta). A pattern such as "sport.*.goal" takes what is broadcast to every group
// that matches it (Subscribe). CallAll asks all members and yields an answer, or the reason why there is none, for each.
// PickLocal and PickAny choose one member for a piece of work: in turn, at random, or by a key. WaitReady tells when a
// scope that has just started knows what its peers know.
//
// # What it does not do
//
// There is no lock, no quorum and no order between what different nodes do. Nothing is stored. Membership is a matter
// of pairs: two nodes without a session do not see each other's members, even if both see a third (PG-22). Hidden nodes
// take no part (PG-55).
package pg
