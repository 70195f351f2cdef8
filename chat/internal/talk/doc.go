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
// A user is a process in the group of all users, known by an ID, and says its nick in its metadata there. The nick is
// registered before the talk begins, so nobody else has it. Users of two partitions that meet may both have registered
// one; the registry decides, and the talk of the other is told (NickLost), claims another nick (Claim), and says so once
// it has it. Until then the others do not show it to join: it would join under a nick that is not its own.
//
// A Talk has one owner and no lock.
package talk
