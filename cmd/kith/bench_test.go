package main

import (
	"strings"
	"testing"

	"github.com/kith-mesh/kith/cmd/kith/internal/benchmark"
)

func TestBenchUsage(t *testing.T) {
	status, stdout, stderr := kith(t, "bench", "rpc", "weather")
	if status != statusUsage || stdout != "" || !strings.Contains(stderr, "node, rpc, send, pg, isolation, global, chat") {
		t.Errorf("got %d, %q, %q", status, stdout, stderr)
	}
	if status, _, stderr := kith(t, "bench", "--tls=maybe"); status != statusUsage || !strings.Contains(stderr, "tls") {
		t.Errorf("got %d, %q", status, stderr)
	}
}

func TestBenchTable(t *testing.T) {
	got := benchTable(benchmark.Figures{"send_remote_per_s": 1234567.8, benchmark.Raw + "send_remote_per_s": 1000, "chat_p99_ms": 0.789})
	want := "                                           kith       raw NATS\n" +
		"send_remote_per_s                       1234568           1000\n" +
		"chat_p99_ms                                0.79\n"
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}
