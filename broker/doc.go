// Package broker embeds the NATS server that carries a mesh, and hands out connections to it.
//
// Start runs one clustered server inside this process. Its cluster listener is the only port that others can use;
// its client port is bound to loopback, admits nobody over TCP, and exists because clustering needs it. Programs of this
// process reach it through in-memory connections, one account at a time:
//
//	b, err := broker.Start(ctx, broker.Config{Mesh: "kith", ServerName: "alice@host#1f", Cookie: cookie})
//	nc, err := b.Connect(broker.App)
//
// With Mode Leaf the server is in no cluster but hangs off one server of it; with External there is none, and Connect
// goes to NATS servers that somebody else runs. Routed, Linked, Proven and Prefix say what that changes for the caller.
//
// # Promises
//
//  1. Closed by default. Routes use mutual TLS, derived from the cookie or with a Certificate of the node's own. A listener
//     that is not on loopback is refused without either. A cookie is in no log line and in no error. What is shown and
//     accepted can be changed while the server runs (SetCredentials); routes that stand are not cut by that.
//  2. A failure to start is an error, never an exit of the process and never a silent half-start.
//  3. Each account has one TCP connection per pair of servers, so what one connection publishes arrives in order.
//  4. Everything ends: after Shutdown no goroutine, port or connection of the broker is left.
//
// # Routes
//
// A server learns the addresses of others from those it is linked to and links to them by itself; SetRoutes adds what
// was lost. A route is a hint and not a session: it says that a TCP connection stands. OnRoute reports changes as soon as
// the server knows of them, and Routes says what stands now. The package does not decide who is alive; see package node.
package broker
