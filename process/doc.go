// Package process gives a node processes: small units of work, each with a mailbox and an identity of its own, which
// talk by messages, within one program or across the mesh, and which notice each other's end.
//
//	rt, err := process.New(n)                                  // one runtime per node
//	pid := rt.Spawn(func(self *process.Process) error {        // a process: a function on a goroutine
//		for {
//			msg, err := self.Receive(self.Context())
//			if err != nil {
//				return err                                      // told to end
//			}
//			fmt.Println("got", msg)
//		}
//	})
//	err = rt.Send(ctx, pid, "hello")                           // from anywhere, to anywhere
//
// A process that only answers messages is better a Behaviour, started with SpawnBehaviour: it is called for each
// message, and takes some 300 bytes and no goroutine while it waits. A main function or a test becomes a process with
// Attach. RegisterFunc and RegisterBehaviour name process types, which SpawnAt starts on any node: code is never
// shipped, only names and arguments.
//
// # Addresses
//
// A PID is one process of one life of one node: a comparable value that can be printed, parsed, compared, kept in maps
// and sent in messages. A Name is whichever process has the name on a node when the message arrives. An alias is a
// second PID for a process that can be switched off, an Inbox one for replies to code that is no process.
//
// # Messages
//
// Any Go value is a message. Within a node the value itself is passed: do not change it after sending, nor what it
// points to. Between nodes it is encoded as CBOR under the name of its type: give your own types names with
// RegisterType, the same on every node, and they arrive as what they were. A type that the receiver does not know
// arrives as a Raw. Fields of interface type arrive as generic values (map[string]any and so on).
//
// # Ordering and delivery
//
//   - What one goroutine sends to one process arrives in that order, without gaps while the connection lasts (SIG-01).
//     Nothing is promised between different senders, or from one sender to several receivers (SIG-02).
//   - Send does not tell whether anybody is there. A message to no process, no name or no node is counted in Stats and
//     lost (SIG-05). When a connection is lost, what was under way is lost with it (SIG-03). SendConfirmed returns when the
//     message is in the mailbox, or says why it is not. A Monitor tells when a process has ended.
//   - A large message is sent in parts, and small ones to the same node pass between them (SIG-14). Above the node's
//     limit, 64 MiB by default, Send fails with node.ErrTooLarge.
//   - A mailbox is unbounded, and reported when it grows (HighWater), or bounded with a Policy (WithMailbox).
//
// # How processes end
//
// A process ends when its function returns, when its behaviour returns an error, when either panics, or when it is told
// to: by Exit, by a link, by its runtime. The reason is an error: ErrNormal, ErrShutdown, ErrKilled, a *PanicError with
// the stack, or any other.
//
// A Monitor sends one Down when its process ends, with the reason, behind the last message of that process. A link ties
// two processes together: when one ends for any reason but ErrNormal, the other is told to end with the same reason,
// unless it traps exits, and gets an Exit in its mailbox. Neither is ever lost: when the node cannot be reached, or the
// connection ends, the reason is ErrNoConnection, which means that nobody knows, and not that the process is dead. When
// there was nobody to begin with, it is ErrNoProcess. Nothing is armed again when the connection returns: monitor again.
//
// Go cannot stop a goroutine from outside. So telling a process to end cancels its Context and makes Receive return the
// reason; a function that does neither look at its context nor receive goes on. Exit with ErrKill ends the process for
// everybody else at once, whatever its goroutine does.
//
// # Limits
//
// The package keeps no names for the whole mesh (see global), has no groups (pg), and neither calls (rpc, genserver) nor
// restarts (supervisor) anything.
package process
