// Package supervisor keeps processes running: a supervisor starts its children in order, starts them again when they
// end, gives up when that happens too often, and stops them in reverse order when it ends itself. Supervisors supervise
// supervisors, which makes a tree.
//
//	sup, err := supervisor.Start(ctx, rt, supervisor.Spec{
//		Strategy: supervisor.OneForOne,
//		Children: []supervisor.Child{
//			supervisor.Server("counter", counters, process.WithName("counter")), // a genserver
//			supervisor.Func("poller", poll),                                     // a func(context.Context) error
//		},
//	})
//	...
//	err = sup.Stop(ctx)
//
// # When a child ends
//
// Its Restart says whether it is started again: a Permanent child always, a Transient one unless it ended well, a
// Temporary one never. The Strategy says who else is: nobody (OneForOne), everybody (OneForAll), or those that were
// started later (RestForOne). The others are stopped first, in reverse order. A child is started again with a new state:
// what must survive belongs elsewhere. A child that cannot be started again counts as one that has ended again.
//
// When children end more often than the Intensity allows, 3 times in 5 s unless you say otherwise, the supervisor stops
// what is left and ends with an *IntensityError; its own supervisor, if it has one, then starts it again, or gives up in
// turn. A Backoff puts a growing pause before each restart.
//
// # When a child is stopped
//
// It is told to end with process.ErrShutdown, which cancels its context, and gets the time of its Shutdown, 5 s unless
// it says otherwise; then it is killed. A process that ignores its context cannot be stopped by force: when it is
// killed nobody can reach it any more, its name is free, but its goroutine goes on until it returns.
//
// # How a supervisor ends
//
// By Stop, when its parent ends (process.WithLink, which Nested uses), by an exit signal, or when it gives up. In each
// case its children are stopped first. Only when it is killed, they end by themselves, through their links.
//
// # Limits
//
// Children run where their start function starts them, usually on the supervisor's node; process.SpawnAt may start them
// elsewhere, and the loss of that node then counts as their end. The package moves nothing from node to node.
package supervisor
