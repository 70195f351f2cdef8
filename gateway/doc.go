// Package gateway makes any NATS client a citizen of the mesh: a program in any language, with nothing of kith in it,
// calls the functions that nodes serve, publishes to groups, and hears what is broadcast to them.
//
// It serves the port that node.Config.Clients opens, which is off by default. The subjects:
//
//	kith.fn.NAME         request: calls the function NAME. The payload is one JSON value (none is null), and so is the
//	                     answer. The header Kith-Node names another node than the one that is connected to, the header
//	                     Kith-Timeout a time such as 2s instead of 5s.
//	kith.broadcast.NAME  publish or request: broadcasts the payload to the group NAME of the scope pg. A request is
//	                     answered by {"members":M,"nodes":N}.
//	kith.group.NAME      subscribe: what is broadcast to the group NAME. The wildcards of NATS work for groups that exist.
//
// In the name of a group on a subject, bytes other than letters, digits, '_', '-' and '.' are written as %XX.
//
// An error is answered as a NATS service does: the headers Nats-Service-Error and Nats-Service-Error-Code, and in the body
// {"kind":…,"message":…,"node":…,"func":…}. The codes: 400 bad argument, 403 refused by a rule of the node, 404 no such
// function, 413 too large for a message between nodes, 429 too many calls, 500 the function failed or answers more than a
// message holds (of kind too_large), 503 no connection to the node, or it stops, 504 timed out.
//
// Every node with such a port is an instance of the NATS service "kith", whose endpoints are the functions; one that was
// taken back stays listed, and is answered 404. So the standard tools list and describe them: $SRV.PING, $SRV.INFO and
// $SRV.STATS, which reach all nodes of the mesh. In the statistics, the field data of a function tells how many calls run,
// have ended and have failed, and the average time in nanoseconds; the times beside it are those of taking a request, since
// calls do not wait for each other.
//
// Payloads: what a client broadcasts reaches members as a string if it is UTF-8 text, else as bytes, or as the decoded
// value if its header Content-Type is application/json. What members broadcast reaches clients as the bytes of a string or
// of bytes, and as JSON with that header for every other value.
//
// # Promises
//
// A client's messages travel in an account of their own and never over a route: what is for another node goes over the
// session with it, within its window. So clients, however fast, cost no session a frame (TestFlood).
//
// A client hears a group from about 50 ms after it has subscribed. A client that reads too slowly is cut off by the
// server, as every NATS client is: once 64 MiB wait for it, or when it has read nothing for 10 s. Of one client's
// subscriptions 10,000 are looked at. At most 4,096 calls run at the same time, with 64 MiB of arguments, and none for
// longer than 10 minutes: NATS does not tell whether who called still waits. So the memory of a node is bounded by how many
// clients it admits.
//
// What clients publish to groups faster than the members' nodes take it, and what they ask of a function faster than calls
// can begin, is dropped beyond 65,536 messages or 16 MiB, and so are the oldest of 65,536 messages of a group that clients
// have not been handed yet; Stats and process.Stats count them. A request whose reply is on a subject of the mesh's own,
// kith.> or $>, is not run: the answer would be a message that the client may not send.
//
// The package keeps no state for clients that are away, and does not check what they may do: their users' permissions do,
// see broker.ClientUser.
package gateway
