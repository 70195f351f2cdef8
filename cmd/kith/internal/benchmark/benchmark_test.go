package benchmark

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 101 {
		times = append(times, time.Duration(100-i)*time.Microsecond)
	}
	for q, want := range map[float64]float64{0: 0, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(times, q, time.Microsecond); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if got := quantile(nil, 0.5, time.Second); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{1, 9, 3, 5}, 4}}
	for _, tt := range tests {
		if got := median(tt.list); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.list, got, tt.want)
		}
	}
}

// TestNames: a report lists the figures by topic, raw NATS behind kith.
func TestNames(t *testing.T) {
	got := Figures{"chat_p99_ms": 1, Raw + "rpc_remote_p50_us": 1, "rpc_remote_p50_us": 1, "rss_idle_kb": 1}.Names()
	want := []string{"rss_idle_kb", "rpc_remote_p50_us", Raw + "rpc_remote_p50_us", "chat_p99_ms"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTopics: what the command offers is what can be measured.
func TestTopics(t *testing.T) {
	for _, topic := range Topics() {
		if topics[topic] == nil {
			t.Errorf("%s is offered and cannot be measured", topic)
		}
	}
	if len(topics) != len(Topics()) {
		t.Errorf("%d topics, %d are offered", len(topics), len(Topics()))
	}
}

// TestTimedStops: the first error ends a measurement.
func TestTimedStops(t *testing.T) {
	calls := 0
	fail := func() error {
		if calls++; calls == 3 {
			return io.EOF
		}
		return nil
	}
	if times, err := timed(nil, time.Hour, fail); len(times) != 2 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d times, %v", len(times), err)
	}
	calls = 2
	if _, err := parallel(1, time.Hour, fail); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestServeRefuses(t *testing.T) {
	for _, line := range []string{"", "{\n", `{"Topic":"weather"}` + "\n"} {
		if err := Serve(t.Context(), strings.NewReader(line), io.Discard, io.Discard); err == nil {
			t.Errorf("%q is accepted", line)
		}
	}
}
