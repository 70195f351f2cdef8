// Package leader has one of several candidates lead at a time.
//
// A candidate campaigns for an election, which is a name. Whenever it wins, it gets a Term, whose context ends when it
// leads no more, and whose epoch is greater than that of every term before.
//
//	c, err := leader.Campaign(ctx, leader.Names(runtime, names), "billing")
//	defer c.Close()
//	for term := range c.Terms() {
//		bill(term.Context(), term.Epoch()) // until the context ends
//	}
//
// # Choose
//
// On [Names], the default, leaders are names of package global: a new leader within milliseconds after the old one has
// died, and no nodes that must be there. In a partition each side has a leader of its own (LEAD-05); when the sides
// meet, one of the two terms ends at once, and the other goes on: the one on the node that is lower by name (LEAD-07).
// A node that was frozen ends its term when it finds out, which may be a moment after others have a new leader.
//
// On [Quorum], leaders hold leases of package quorum: never two at a time, none on the side of a minority, and some
// seconds without one after the old one has died, since its lease must end first.
//
// In both, a leader that is paused may do something after its successor has begun: only what guards the resource can
// prevent that, by refusing an epoch that is less than one that it has seen (LEAD-10); [quorum.Fence] does that.
//
// # What it does not do
//
// It does not stop work: who leads must heed the context. It moves no state from one leader to the next.
package leader
