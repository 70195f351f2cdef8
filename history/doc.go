// Package history keeps what happened, in order, on the mesh's store nodes: logs that are appended to, read back from any
// place, followed, and cut by age and size. It is for what must outlive the processes that said it.
//
// It needs store nodes: 3 or 5 nodes of the mesh, each started with the addresses of all (node.Config.Store). Any node can
// then use it. Where there are none, every call says so with ErrNoStores, and soon.
//
//	log, err := history.New(n, history.Config{Name: "audit", MaxAge: 30 * 24 * time.Hour})
//	err = log.Append(ctx, history.Record{Topic: "door/7", ID: "a81f", Data: []byte("opened")})
//	page, err := log.Last(ctx, "door/7", 20)                 // the newest 20, the oldest of them first
//	older, err := log.Before(ctx, "door/7", page[0].Seq, 20) // and those before
//	for entry, err := range log.Follow(ctx, "door/7", 0) { … }
//
// # Promises
//
//  1. What Append returned nil for is on a majority of the stores' disks.
//  2. A record is kept once, however often it is appended: what was appended with an ID within the last two minutes is
//     not appended again. So who does not know whether a call got through calls again.
//  3. The entries of a topic have one order for all readers. What one caller appends is in its order, unless a store that
//     leads fails in the midst of a call; then what had been lost comes behind what had not.
//  4. When a log has reached its age or size, the oldest entries go. Nothing else does, but by Drop.
//  5. Reads are answered by any store, which may be a moment behind the others: an entry may be missing at the end for
//     that moment, never in the middle, and one that was dropped may still be there. Follow misses nothing, and
//     AfterConfirmed asks the store that leads.
//
// While a store is away the log works on the other ones. When it was the one that led, appending takes some seconds,
// until the others have chosen anew; calls wait for that within their contexts.
//
// # What it does not do
//
// There are no consumers with acknowledgements and no work queues: a reader keeps its own place, which is a number. It
// encrypts nothing, and every node of the mesh may read and drop every log.
package history
