// Package discovery says whom to dial: it finds the addresses at which the nodes of a mesh may listen.
//
// A [Strategy] watches one source (the nodes of this host, a fixed list, a host file, multicast, DNS, Kubernetes) and
// reports its whole current list of candidates whenever it changes. [Merge] runs several at once; [Parse] makes them
// from the words that the flag --discover takes.
//
// # Promises
//
//  1. A candidate is a hint and nothing more. Whether it is a node, of this mesh, with this cookie, is found out by
//     dialling it. A strategy needs no privilege over membership.
//  2. A source that fails, or answers with nothing, never cuts a living link: a candidate that disappears is only not
//     dialled any more. After a failure the last good list stays.
//  3. Failures are reported and retried for ever, with jittered backoff. Run ends only when its context does, or at
//     once when the configuration can never work.
//  4. At idle a strategy costs next to nothing, and when Run returns nothing of it is left: no goroutine, no socket.
//
// The package does not dial, does not know sessions, and does not decide who is a member: see package node.
package discovery
