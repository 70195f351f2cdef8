package benchmark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kith-mesh/kith/internal/cookie"
)

// Topics lists what can be measured, in the order in which it is done.
func Topics() []string { return []string{"node", "rpc", "send", "pg", "isolation", "global", "chat"} }

// topicPatience bounds one topic: a mesh that hangs must not hang the command.
const topicPatience = 90 * time.Second

// Figures are results by name.
type Figures map[string]float64

// Names lists the figures in the order of a report: by topic, what raw NATS did behind what kith did.
func (f Figures) Names() []string {
	place := func(name string) int {
		return slices.Index(order, strings.TrimPrefix(name, raw)) * 2
	}
	var names []string
	for name := range f {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return len(a) - len(b)
	})
	return names
}

// Raw begins the name of a figure of nats.go alone.
const Raw = "raw_nats_"

const raw = Raw

// order is how a report lists the figures.
var order = []string{
	"boot_to_nodeup_p50_ms", "nodedown_kill_p50_ms", "rss_idle_kb", "full_mesh_50_ms",
	"rpc_remote_p50_us", "rpc_remote_p99_us", "rpc_parallel_per_s", "rpc_local_p50_us",
	"send_remote_per_s", "send_local_ns", "spawn_ns",
	"pg_broadcast_deliveries_per_s", "pg_join_visible_p50_us", "pg_joins_per_s", "pg_fanout_deliveries_per_s",
	"isolation_idle_p99_us", "isolation_stream_bytes_per_s",
	"isolation_slow_p99_us", "isolation_slow_ratio", "isolation_slow_sender_p99_us", "isolation_slow_sender_ratio",
	"isolation_stream_p99_us", "isolation_stream_ratio", "isolation_stream_sender_p99_us", "isolation_stream_sender_ratio",
	"isolation_frozen_p99_us", "isolation_frozen_ratio", "isolation_frozen_sender_p99_us", "isolation_frozen_sender_ratio",
	"global_register_p50_us", "global_visible_p99_ms", "global_registers_per_s", "global_whereis_ns",
	"global_100k_on_5_ms", "global_100k_heap_mb", "global_kill_ms", "global_reform_ms",
	"global_quorum_register_p50_us", "global_quorum_confirmed_p50_us", "global_quorum_registers_per_s", "global_quorum_whereis_ns",
	"chat_p99_ms", "chat_crowd_p50_ms", "chat_crowd_p99_ms", "chat_crowd_deliveries_per_s",
}

// Options say what to measure.
type Options struct {
	// Topics are some of Topics. Empty means all.
	Topics []string
	// Plaintext leaves TLS off the routes.
	Plaintext bool
	// Quick measures for a tenth of the time: it shows that all works, and the figures are rough.
	Quick bool
	// Program is the command line of the kith command itself, without arguments.
	Program string
	// Progress takes lines that say what is being done, and the log of the processes.
	Progress io.Writer
}

// Run measures and returns the figures. It blocks until all is done, and ends every process that it started. When one
// topic fails, the others are still measured; the error tells of all that failed.
func Run(ctx context.Context, o Options) (Figures, error) {
	all := Figures{}
	var failed []error
	for _, topic := range Topics() {
		if len(o.Topics) > 0 && !slices.Contains(o.Topics, topic) {
			continue
		}
		begin := time.Now()
		got, err := o.measure(ctx, topic)
		for name, value := range got {
			all[name] = value
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", topic, err))
		}
		fmt.Fprintf(o.Progress, "%s: %d figures in %.1f s\n", topic, len(got), time.Since(begin).Seconds())
		if ctx.Err() != nil {
			break
		}
	}
	return all, errors.Join(failed...)
}

// measure runs one topic in a process of its own.
func (o *Options) measure(ctx context.Context, topic string) (Figures, error) {
	ctx, cancel := context.WithTimeout(ctx, topicPatience)
	defer cancel()
	dir, err := os.MkdirTemp("", "kith-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	secret, err := cookie.LoadOrCreate(filepath.Join(dir, "cookie"))
	if err != nil {
		return nil, err
	}
	p, err := launch(ctx, o.Program, job{
		Topic: topic, Name: "a@127.0.0.1", Mesh: "bench", Dir: dir, Cookie: secret, Plaintext: o.Plaintext, Program: o.Program,
		Quick: o.Quick,
	}, o.Progress)
	if err != nil {
		return nil, err
	}
	defer p.end()
	var got report
	if err := p.read(&got); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	if got.Failed != "" {
		err = errors.New(got.Failed)
	}
	return got.Figures, err
}
