package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// benchFigures are what each topic of kith bench must measure, in the order of the topics.
var benchFigures = []struct {
	topic   string
	figures string
}{
	{"node", "boot_to_nodeup_p50_ms nodedown_kill_p50_ms"},
	{"rpc", "rpc_remote_p50_us rpc_remote_p99_us rpc_parallel_per_s rpc_local_p50_us raw_nats_rpc_remote_p50_us raw_nats_rpc_parallel_per_s"},
	{"send", "send_remote_per_s send_local_ns spawn_ns raw_nats_send_remote_per_s"},
	{"pg", "pg_broadcast_deliveries_per_s pg_join_visible_p50_us pg_joins_per_s pg_fanout_deliveries_per_s raw_nats_pg_broadcast_deliveries_per_s"},
	{"isolation", "isolation_idle_p99_us isolation_slow_ratio isolation_stream_ratio isolation_frozen_ratio"},
	{"global", "global_register_p50_us global_visible_p99_ms global_registers_per_s global_whereis_ns global_100k_on_5_ms global_kill_ms global_reform_ms global_quorum_register_p50_us global_quorum_confirmed_p50_us global_quorum_registers_per_s"},
	{"chat", "chat_p99_ms"},
}

// TestBench measures every topic in its quick form, and finds the figures, as JSON and as a table.
func TestBench(t *testing.T) {
	program := undetected(t)
	for _, row := range benchFigures {
		t.Run(row.topic, func(t *testing.T) {
			out := bench(t, program, row.topic, "--quick", "--tls=false", "-o", "json")
			var got map[string]float64
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, name := range strings.Fields(row.figures) {
				if got[name] <= 0 {
					t.Errorf("%s is %v", name, got[name])
				}
			}
			if row.topic == "isolation" {
				isolated(t, got)
			}
		})
	}
	t.Run("table", func(t *testing.T) {
		if out := bench(t, program, "rpc", "--quick"); !strings.Contains(out, "rpc_remote_p50_us") || strings.Contains(out, "chat_") {
			t.Errorf("got %q", out)
		}
	})
}

// undetected is kith without the race detector, which would make figures of it, and take eight times as long.
func undetected(t *testing.T) string {
	t.Helper()
	if !raceEnabled {
		return kith
	}
	program := filepath.Join(t.TempDir(), "kith")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/kith").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// bench measures and returns what is printed.
func bench(t *testing.T, program string, args ...string) string {
	t.Helper()
	m := newMesh(t)
	m.program = program
	p := m.run("bench", append([]string{"bench"}, args...)...)
	select {
	case <-p.done:
	case <-time.After(benchPatience):
		t.Fatal("kith bench did not end")
	}
	p.exit(0)
	return strings.Join(p.out.all(), "\n")
}

// isolationMargin is how long a call may take where the same load beside the mesh does less: a call that waits for a
// slow peer of others waits for hundreds of milliseconds, and one for a frozen peer until that is given up.
const isolationMargin = 25 * time.Millisecond

// isolated checks that a load between two nodes does to calls between others what it does beside the mesh. The quick
// form times some hundred calls, so that one hiccup of the machine is the 99th of a hundred: hence the margin.
func isolated(t *testing.T, got map[string]float64) {
	for _, load := range []string{"slow", "stream", "frozen"} {
		for _, who := range []string{"", "_sender"} {
			p99 := time.Duration(got["isolation_"+load+who+"_p99_us"]) * time.Microsecond
			if ratio := got["isolation_"+load+who+"_ratio"]; ratio > 2 && p99 > isolationMargin {
				t.Errorf("%s%s: calls take %v, %.1f times what they take beside the same load outside the mesh", load, who, p99, ratio)
			}
		}
	}
}

// benchPatience bounds one topic in its quick form; most take a second or two.
const benchPatience = 90 * time.Second

// TestBenchUsage: wrong input is said, and nothing is started.
func TestBenchUsage(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, row := range []struct{ args, says string }{
		{"bench weather", "unknown topic"},
		{"bench rpc weather", "unknown topic"},
		{"bench rpc --tls=maybe", "tls"},
		{"bench rpc --quick=often", "quick"},
		{"bench rpc -o xml", "output"},
	} {
		if got := m.kith(strings.Fields(row.args)...); got.code != 2 || got.out != "" || !strings.Contains(got.err, row.says) {
			t.Errorf("kith %s: %+v", row.args, got)
		}
	}
}
