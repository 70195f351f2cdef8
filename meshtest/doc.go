// Package meshtest runs a mesh of n nodes inside one test process, over links that can be cut, broken, delayed and
// mended, so that programs can be tested against what networks do.
//
//	m := meshtest.New(t, 3)            // n1, n2 and n3, every pair connected
//	m.Cut(1, 2)                        // n1 and n2 no longer hear each other; n3 hears both
//	meshtest.Eventually(t, "split", func() bool { return !m.Connected(1, 2) })
//	m.Mend(1, 2)
//
// The nodes are real: each has its own broker, and they talk over TCP on loopback. Links lies between them, and can also
// be used by itself, with brokers or anything else that sends a server name in a TLS hello.
//
// Authority issues certificates to nodes that have some of their own rather than a cookie.
//
// What it does not do: it loses no packets within a connection, since TCP would send them again; a delay is how that
// looks. It cuts connections between nodes and not the clocks, disks or memory they share.
package meshtest
