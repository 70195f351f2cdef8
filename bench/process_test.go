package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// BenchmarkProcessSend is one sender to one process on another node, beside Erlang doing the same, if it is installed.
// Neither encrypts, except where it says so.
func BenchmarkProcessSend(b *testing.B) {
	for _, size := range []int{10, 128, 1024} {
		b.Run(fmt.Sprintf("kith/%dB", size), func(b *testing.B) {
			first, second := pair(b)
			processSend(b, first, second, size)
		})
	}
	b.Run("kith-tls/128B", func(b *testing.B) {
		first, second := tlsPair(b)
		processSend(b, first, second, 128)
	})
	if _, err := exec.LookPath("erl"); err != nil {
		b.Log("erl is not installed: nothing to compare with")
		return
	}
	for _, size := range []int{10, 128, 1024} {
		b.Run(fmt.Sprintf("erlang/%dB", size), func(b *testing.B) { erlangSend(b, size) })
	}
}

func processSend(b *testing.B, first, second *node.Node, size int) {
	from, err := process.New(first)
	if err != nil {
		b.Fatal(err)
	}
	to, err := process.New(second, process.HighWater(-1, nil))
	if err != nil {
		b.Fatal(err)
	}
	var done sync.WaitGroup
	done.Add(b.N)
	sink := to.SpawnBehaviour(process.HandleFunc(func(*process.Process, process.Message) error {
		done.Done()
		return nil
	}))
	msg := make([]byte, size)
	b.ResetTimer()
	for range b.N {
		if err := from.Send(b.Context(), sink, msg); err != nil {
			b.Fatal(err)
		}
	}
	done.Wait()
}

func tlsPair(b *testing.B) (first, second *node.Node) {
	dir := b.TempDir()
	var list []*node.Node
	for i := range 2 {
		n, err := node.Start(b.Context(), node.Config{Name: fmt.Sprintf("n%d@127.0.0.1", i), Cookie: []byte(cookie), DataDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = n.Close() })
		list = append(list, n)
	}
	if err := list[0].WaitPeers(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	return list[0], list[1]
}

// erlangSend lets two Erlang nodes do it, with a port mapper of their own.
func erlangSend(b *testing.B, size int) {
	dir := b.TempDir()
	src, err := filepath.Abs(filepath.Join("erlang", "send.erl"))
	if err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("erlc", "-o", dir, src).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	env := append(os.Environ(), "ERL_EPMD_PORT="+port, "ERL_EPMD_ADDRESS=127.0.0.1", "HOME="+dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := func(name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, name, args...)
		c.Env = env
		return c
	}
	epmd := start("epmd", "-port", port)
	if err := epmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cancel(); _ = epmd.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			b.Fatal("epmd does not start")
		}
	}
	erl := func(name, call string, args ...string) *exec.Cmd {
		all := []string{
			"-noinput", "-name", name + "@127.0.0.1", "-setcookie", "bench", "-start_epmd", "false", "-pa", dir,
			"-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-run", "send", call,
		}
		return start("erl", append(all, args...)...)
	}
	sink := erl("sink", "sink")
	out, err := sink.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := sink.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cancel(); _ = sink.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready") {
		b.Fatalf("the sink says %q: %v", line, err)
	}
	text, err := erl("sender", "run", "sink@127.0.0.1", strconv.Itoa(b.N), strconv.Itoa(size)).Output()
	if err != nil {
		b.Fatalf("%v: %s", err, text)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(ns, "ns/op")
}
