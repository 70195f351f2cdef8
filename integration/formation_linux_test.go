package integration

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// accounts is how many connections join two nodes: one for each account, and one for the broker's own.
const accounts = 3

// TestFormation starts many nodes at once on one host, which end in one full mesh: all that is dialled soon stands, and
// nothing goes on being dialled.
func TestFormation(t *testing.T) {
	count, bound := 20, 30*time.Second
	if raceEnabled {
		count = 10 // the race detector makes a handshake cost several times as much, and there are count squared of them
	}
	if os.Getenv("KITH_SOAK") != "" {
		count, bound = 50, 90*time.Second
	}
	n := newNetwork(t, 1)
	m := newMesh(t)
	start := time.Now()
	var all []*proc
	for i := range count {
		all = append(all, m.runBy(n.hosts[0].start, "n"+itoa(i), "node", "--name", "n"+itoa(i)))
	}
	for _, p := range all {
		p.match("^ready ")
		for p.peers() < count-1 {
			if time.Since(start) > bound {
				t.Fatalf("after %v %s sees %d others of %d", bound, p.name, p.peers(), count-1)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	whole := time.Since(start)
	var used time.Duration
	for _, p := range all {
		used += processorTime(p.cmd.Process.Pid)
	}
	t.Logf("%d nodes are connected after %v, have used %v of processors, and %d connections of %d", count, whole.Round(time.Millisecond),
		used, established(all[0].cmd.Process.Pid), accounts*count*(count-1))
	// Sessions are there; the nodes' reports of routes and ticks follow, on a busy machine some time later.
	sees := strconv.Itoa(count) + " visible nodes, all of which see each other"
	m.until("the doctor finds nothing", func() bool {
		out, err := n.hosts[0].output(m.env(), "doctor", "--timeout", "20s")
		return err == nil && strings.Contains(out, sees)
	})
}

// peers is how many nodes a node sees, by its log.
func (p *proc) peers() (n int) {
	for _, l := range p.err.all() {
		if strings.Contains(l, " nodeup ") {
			n++
		} else if strings.Contains(l, " nodedown ") {
			n--
		}
	}
	return n
}

// output runs kith on the host to its end.
func (h *host) output(env []string, args ...string) (string, error) {
	var out strings.Builder
	cmd := exec.Command(kith, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	if err := h.start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// established counts the ends of connections that stand on the host of a process.
func established(pid int) (count int) {
	table, _ := os.ReadFile("/proc/" + itoa(pid) + "/net/tcp")
	for line := range strings.Lines(string(table)) {
		const state, standing = 3, "01"
		if f := strings.Fields(line); len(f) > state && f[state] == standing {
			count++
		}
	}
	return count
}

// processorTime is what a process has used of the processors.
func processorTime(pid int) time.Duration {
	stat, _ := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	const user, system, tick = 11, 12, 10 * time.Millisecond
	var sum time.Duration
	if f := strings.Fields(rest); len(f) > system {
		for _, field := range []string{f[user], f[system]} {
			ticks, _ := strconv.Atoi(field)
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}
