package pg_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// What groups may cost: 100,000 of 3 members over 3 nodes in under 150 MB a node before their first broadcast, under
// 400 MB after, all of the process included. BenchmarkMemory measures that on processes of their own.
const (
	memoryNodes  = 3
	memoryGroups = 100_000
	memoryBefore = 150
	memoryAfter  = 400
	memoryEnv    = "KITH_PG_MEMORY_NODE"
	memoryDirEnv = "KITH_PG_MEMORY_DIR"
	memoryHowEnv = "KITH_PG_MEMORY_HOW"
)

// BenchmarkMemory reports the resident memory of the largest of three nodes, in MB: as it is, and with a topic for
// every group, as in a mesh of many nodes.
func BenchmarkMemory(b *testing.B) {
	b.Run("sessions", func(b *testing.B) { benchmarkMemory(b, "") })
	b.Run("topics", func(b *testing.B) { benchmarkMemory(b, "topics") })
}

func benchmarkMemory(b *testing.B, how string) {
	exe, err := os.Executable()
	must(b, err)
	dir := b.TempDir()
	var nodes []*memoryNode
	for i := range memoryNodes {
		nodes = append(nodes, startMemoryNode(b, exe, dir, how, i))
	}
	most := func(step string) float64 {
		for _, n := range nodes {
			fmt.Fprintln(n.in, step)
		}
		mb := 0.0
		for _, n := range nodes {
			mb = max(mb, n.answer(b))
		}
		return mb
	}
	empty := most("start")
	most("join")
	before := most("settle")
	most("broadcast")
	after := most("settle")
	b.ReportMetric(empty, "MB-empty")
	b.ReportMetric(before, "MB-before")
	b.ReportMetric(after, "MB-after")
	b.ReportMetric(0, "ns/op")
	if before > memoryBefore || after > memoryAfter {
		b.Errorf("%.0f MB before the first broadcast and %.0f MB after, %d and %d are allowed", before, after, memoryBefore, memoryAfter)
	}
}

type memoryNode struct {
	in  io.Writer
	out *bufio.Scanner
}

func startMemoryNode(b *testing.B, exe, dir, how string, i int) *memoryNode {
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", memoryEnv, i), memoryDirEnv+"="+dir, memoryHowEnv+"="+how)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &memoryNode{in: in, out: bufio.NewScanner(out)}
}

func (n *memoryNode) answer(b *testing.B) float64 {
	if !n.out.Scan() {
		b.Fatal("a node has ended")
	}
	mb, err := strconv.ParseFloat(n.out.Text(), 64)
	if err != nil {
		b.Fatalf("a node says %q", n.out.Text())
	}
	return mb
}

// runMemoryNode is what the processes of BenchmarkMemory do: a step for each line, answered with the memory in use.
func runMemoryNode(me int, dir, how string) error {
	n, err := node.Start(context.Background(), node.Config{
		Name: fmt.Sprintf("m%d@127.0.0.1", me), Cookie: []byte("a cookie of the benchmarks"), DataDir: dir,
	})
	if err != nil {
		return err
	}
	defer n.Close()
	rt, err := process.New(n)
	if err != nil {
		return err
	}
	var opts []pg.Option
	if how == "topics" {
		opts = append(opts, pg.TopicFrom(2))
	}
	g, err := pg.New(rt, opts...)
	if err != nil {
		return err
	}
	s, err := g.Scope(pg.DefaultScope)
	if err != nil {
		return err
	}
	p := rt.Spawn(func(self *process.Process) error {
		for {
			if _, err := self.Receive(self.Context()); err != nil {
				return nil
			}
		}
	})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := memoryStep(lines.Text(), me, how, n, g, s, p); err != nil {
			return err
		}
		fmt.Println(resident())
	}
	return nil
}

func memoryStep(step string, me int, how string, n *node.Node, g *pg.Groups, s *pg.Scope, p process.PID) error {
	ctx := context.Background()
	group := func(i int) string { return fmt.Sprintf("group-%06d", i) }
	switch step {
	case "start":
		return n.WaitPeers(ctx, memoryNodes-1)
	case "join":
		for i := range memoryGroups {
			if err := s.Join(group(i), p); err != nil {
				return err
			}
		}
		for i := range memoryGroups {
			if !until(time.Minute, func() bool { return s.Count(group(i)).Nodes == memoryNodes }) {
				return fmt.Errorf("%s: %+v after a minute", group(i), s.Count(group(i)))
			}
		}
	case "broadcast":
		for i := range memoryGroups {
			if i%memoryNodes == me || (i+1)%memoryNodes == me { // two broadcasters ask all three nodes
				if _, err := s.Broadcast(ctx, group(i), "hello"); err != nil {
					return err
				}
			}
		}
		if how == "topics" && !until(time.Minute, func() bool { return g.Stats().Topics >= memoryGroups }) {
			return fmt.Errorf("%d topics after a minute", g.Stats().Topics)
		}
	case "settle":
		// What a collection leaves behind goes back to the system slowly.
		least, since := resident(), time.Now()
		until(time.Minute, func() bool {
			if now := resident(); now < least-1 {
				least, since = now, time.Now()
			}
			return time.Since(since) >= 3*time.Second
		})
	}
	return nil
}

// resident is the memory of this process, in MB.
func resident() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				return kb / 1024
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys-m.HeapReleased) / (1 << 20)
}

// TestMemory keeps an eye on what one group costs on one node, of the three that have a member in it.
func TestMemory(t *testing.T) {
	c := newCluster(t, 3)
	s := c.scope("memory")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const groups, limit = 20_000, 500
	before := heap()
	for i := range s {
		p := c.idle(i)
		for j := range groups {
			must(t, s[i].Join(fmt.Sprintf("group-%06d", j), p))
		}
	}
	for i := range s {
		j := 0
		meshtest.Eventually(t, "all members of all groups", func() bool {
			for ; j < groups; j++ {
				if s[i].Count(fmt.Sprintf("group-%06d", j)).Nodes < 3 {
					return false
				}
			}
			return true
		}, time.Minute)
	}
	if each := (heap() - before) / groups / 3; each > limit {
		t.Errorf("a group costs %d bytes a node, %d are allowed", each, limit)
	} else {
		t.Logf("a group costs %d bytes a node", each)
	}
	runtime.KeepAlive(s)
}
