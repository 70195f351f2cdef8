// Package talk holds the rules of the chat: who is in which room, under which nick, what a line of input means, what
// is shown and in which order. It is a state machine. Events go in with the time at which they happened, actions come
// out, and nothing else happens: no mesh, no terminal, no goroutine, no clock. Package chat carries the actions out.
//
// # Order
//
// What is shown is in an order that a person expects: a node comes up before its users join, goes down before they are
// said to have left; a user joins before the first message of theirs; the roster of a room comes before its messages.
// Where events come over different ways and so in another order, the later line waits for the earlier one, and never
// longer than OrderWait.
//
// # Nicks
//
// A user is a process in the users' group, known by an ID. The nick comes in a hello, which each user sends to all
// when it starts, and on being asked. Two users that claim one nick resolve it alike on both sides, by User.Before:
// whoever had settled keeps it, then who claimed it first, then the smaller ID. The loser is refused at the start and
// renamed later.
//
// A Talk has one owner and no lock.
package talk
