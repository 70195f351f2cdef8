package broker_test

import (
	"testing"

	"github.com/kith-mesh/kith/broker"
)

// BenchmarkStart measures a start and a close. With TLS it includes deriving the certificates.
func BenchmarkStart(b *testing.B) {
	for name, plaintext := range map[string]bool{"tls": false, "plaintext": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				started, err := broker.Start(b.Context(), broker.Config{
					Mesh: "bench", ServerName: "a", Cookie: testCookie, Plaintext: plaintext,
				})
				if err != nil {
					b.Fatal(err)
				}
				if err := started.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
