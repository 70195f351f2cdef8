// Package integration drives real kith processes from outside, over their input, output and signals.
//
// It holds tests only. They build the command once, with the race detector if they run with it themselves, and give
// every mesh a data folder of its own, so that meshes of tests that run at the same time never meet. A test waits for
// what it expects and never sleeps; on failure it prints what every process wrote and when. See mesh_test.go for the
// words that tests are made of.
//
// What can be tested in one process belongs into the tests of the package concerned, with meshtest.
package integration
