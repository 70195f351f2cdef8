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
// A user is a process in the group of all users, known by an ID, and says its nick in its metadata there. At the start
// it only claims it. Once the groups of all nodes are known, it settles if nobody else has the nick; it is refused if
// somebody has settled, or claims it with a better right (User.Before); and it waits while somebody with a lesser right
// claims it: they will see it and be refused, or they had settled before they could. So of any number who claim a nick
// at the same time one gets it, with no messages but the changes of the group.
//
// Users of two partitions that meet may both have settled. Then the lesser right takes another nick.
//
// A Talk has one owner and no lock.
package talk
