// Package kith is the front page of a module for meshes of Go programs: nodes that find each other, watch each other die,
// run processes with mailboxes, call each other's functions and talk in groups, over NATS servers that each of them
// embeds.
//
// It holds no code. A program starts with a node and puts on it what it needs:
//
//   - node: identity, peers, nodeup and nodedown
//   - process: processes and their mailboxes
//   - pg: groups of processes
//   - rpc: functions that other nodes call
//   - admin: lets the command kith look into the program's nodes
//   - discovery: ways in which nodes find each other
//   - meshtest: a mesh inside of a test, with links that can be cut
//
// The example shows the first steps. The command is in cmd/kith.
package kith
