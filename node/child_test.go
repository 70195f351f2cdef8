package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/node"
)

// childEnv holds what a child process is to run: a childSpec.
const childEnv = "KITH_NODE_TEST_CHILD"

// childSpec is one node in a process of its own.
type childSpec struct {
	Name    string
	Join    []string
	Tick    time.Duration
	Mode    broker.Mode
	Servers []string
	Flood   bool // send to all peers without end
}

// child runs one node until its standard input ends. It prints the node's address and each event.
func child() {
	var spec childSpec
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &spec); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	n, err := node.Start(context.Background(), node.Config{
		Name: spec.Name, Mesh: "test", Cookie: testCookie, Join: spec.Join, Tick: spec.Tick,
		Mode: spec.Mode, Servers: spec.Servers,
	})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	m := n.Monitor()
	if spec.Flood {
		if err := flood(n); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	fmt.Println("ready", n.Addr())
	go func() {
		for e := range m.Events() {
			if e.Up {
				fmt.Println("up", e.Peer.Name, e.Peer.Conn)
			} else {
				fmt.Println("down", e.Peer.Name, e.Peer.Conn, e.Reason)
			}
		}
	}()
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	_ = n.Close()
}

// process is a child under test.
type process struct {
	cmd   *exec.Cmd
	name  string
	addr  string
	lines chan string
}

// spawn runs a node in a process of its own, and returns once it is ready.
func spawn(t testing.TB, spec childSpec) *process {
	t.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(data))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, name: spec.Name, lines: make(chan string, 1000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		p.signal(syscall.SIGKILL)
		<-read
		_ = cmd.Wait()
	})
	p.addr = p.await(t, "ready ")
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// await returns what follows prefix in the next line that starts with it.
func (p *process) await(t testing.TB, prefix string) string {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%s has ended; %q was awaited", p.name, prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
			if strings.HasPrefix(line, "error ") {
				t.Fatalf("%s: %s", p.name, line)
			}
		case <-timeout:
			t.Fatalf("%s does not say %q", p.name, prefix)
		}
	}
}
