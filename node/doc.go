// Package node is membership: who is in the mesh, since when, and who has just gone.
//
// A node has a name and an incarnation. It embeds a broker, finds others through discovery, and keeps one session
// with each peer. While a session is up, frames reach the peer complete and in order, or the session ends with a
// reason that says why. Everything above this package (processes, groups, calls, names) is a protocol on sessions.
//
// # Promises
//
//  1. Between two nodes there is at most one session at a time. It has a connection id, which both sides share.
//
//  2. nodeup is delivered before the first frame of a session, and nodedown after its last. The nodedown of an old
//     session comes before the nodeup of the next. When nodeup is handled, the peer is in Nodes; when nodedown is
//     handled, it is not.
//
//  3. What one goroutine sends to one peer arrives in that order, broadcasts included.
//
//  4. A lost frame ends the session with the reason gap and the exact number of frames lost; nothing behind a gap is
//     delivered.
//
//  5. A peer that reads slowly, or not at all, blocks those who send to it, within their contexts, and nobody else.
//
//  6. A dead peer is noticed when its connection closes, a frozen one after four missed ticks. A broken link between
//     two nodes takes each from the other's list, and from nobody else's.
//
//  7. Who is let in is decided by a cookie, or by certificates of the nodes' own. Either can be changed while nodes run, and
//     cuts nothing that stands (SetCookie, SetCertificate).
//
//  8. A node that leaves in good order says so first (Drain), then hands over what was sent, then goes.
//
// Rules (Config.Rules) say what peers may ask of this node. The layers above ask Permit; they guard against mistakes, and
// not against members that lie.
//
// The package does not start processes, keep groups or answer calls: see process, pg and rpc.
package node
