// Package process gives a node processes: small units of work, each with its own mailbox and its own identity, which
// talk by messages, within one program or across the mesh, and which notice each other's end.
package process
