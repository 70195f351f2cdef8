// Package leak says which goroutines tests with store nodes may leave behind.
package leak

import "go.uber.org/goleak"

// Stores are for goleak.VerifyTestMain where a test has store nodes. A group of JetStream that is just being made while its
// server stops is not started any more, and nats-server 2.15.2 forgets the log that it had opened for it
// (createRaftGroup in jetstream_cluster.go): the loop that saves that log's state stays, with the clock that all logs share.
// A process that ends does not notice. A server of ours that was never stopped has many more goroutines, and is found.
func Stores() []goleak.Option {
	const server = "github.com/nats-io/nats-server/v2/server"
	return []goleak.Option{
		goleak.IgnoreTopFunction(server + ".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(server + "/ats.Register.func1"),
	}
}
