// Package benchmark measures a mesh of separate processes on this machine, and the same work done with nats.go alone.
//
// Run starts this program again for each topic, so that no measurement inherits the heap or the goroutines of another
// one: a process that measures, which is a node itself, and the workers that it needs, each of them a node and, for the
// comparison, a plain NATS server. Where both are measured they take turns of about a second, in the same processes, so
// that a busy moment of the machine hits both. What is reported of several turns is the median.
//
// It does not tune anything: nodes are started as kith node starts them, with the defaults of every layer. It does not
// measure anything across machines.
package benchmark
