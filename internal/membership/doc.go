// Package membership is the state machine of who is in the mesh: which nodes are candidates, which sessions are opening, up or
// over, who has been heard of, and who has not for too long.
//
// It is pure. Time comes in as an argument, messages come in as values, and what is to be done goes out through
// Effects. It knows no network, starts no goroutine and takes no lock: one goroutine owns a Table.
//
// # How a session opens
//
// Of two nodes the lower one, by name and then by incarnation, is the caller; so two that call each other at the same
// moment open one session and not two. The caller sends hello with a fresh connection id on both accounts; the other
// answers welcome on both. When the caller has both welcomes, both accounts have carried a message each way, and the
// session is up; its first message tells the other. A node that is not the caller knocks, and the caller calls.
// Everything is sent again, with growing pauses, until it is answered: a route that has just come up may carry one
// account before the other.
//
// # How it ends
//
// By a goodbye in order, after all frames (shutdown, disconnect); by a probe that finds nobody after the connection
// has closed (connection_closed); by four missed ticks (net_tick_timeout); by a lost frame (gap). The closing is
// handed to the dispatcher, which delivers what had arrived before it.
package membership
