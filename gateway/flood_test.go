package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// floodEnv tells a child process of this test where to flood.
const floodEnv = "KITH_GATEWAY_FLOOD"

// What the child does: publishers and callers as fast as they can, and subscribers that never read.
const (
	floodPublishers = 2
	floodCallers    = 2
	floodDeaf       = 3
	floodGroup      = "flood"
)

// flood is the life of the child: it says "ready", floods until its input ends, and says how much it has sent.
func flood(addr string) error {
	var deaf []net.Conn
	for range floodDeaf {
		c, err := subscribeAndNeverRead(addr)
		if err != nil {
			return err
		}
		deaf = append(deaf, c)
	}
	var sent atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	send := func(publish func(nc *nats.Conn) error) error {
		nc, err := nats.Connect("nats://"+addr, nats.UserInfo("guest", password))
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer nc.Close()
			for publish(nc) == nil {
				sent.Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		return nil
	}
	payload := []byte(strings.Repeat("x", 256))
	for range floodPublishers {
		if err := send(func(nc *nats.Conn) error { return nc.Publish(broadcastPrefix+floodGroup, payload) }); err != nil {
			return err
		}
	}
	for range floodCallers {
		if err := send(func(nc *nats.Conn) error {
			return nc.PublishRequest(callPrefix+"kith.echo", "_INBOX.nobody", []byte(`"hello"`))
		}); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(stop)
	wg.Wait()
	for _, c := range deaf {
		_ = c.Close()
	}
	fmt.Println(sent.Load())
	return nil
}

// subscribeAndNeverRead opens a connection that takes the group's messages, and does not.
func subscribeAndNeverRead(addr string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	hello, err := json.Marshal(map[string]any{"user": "guest", "pass": password, "verbose": false, "protocol": 1, "headers": true})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "CONNECT %s\r\nSUB %s 1\r\nPING\r\n", hello, groupPrefix+floodGroup); err != nil {
		return nil, err
	}
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(line, "-ERR") {
			return nil, errors.New(line)
		}
		if strings.HasPrefix(line, "PONG") {
			return c, nil
		}
	}
}

// numbered checks the numbers of the frames that it takes.
type numbered struct {
	next, wrong, downs atomic.Uint64
}

func (c *numbered) PeerUp(node.Peer)                {}
func (c *numbered) PeerDown(node.Peer, node.Reason) { c.downs.Add(1) }
func (c *numbered) Frame(_ node.Peer, data []byte) {
	if n := c.next.Load(); len(data) < 8 || binary.LittleEndian.Uint64(data) != n {
		c.wrong.Add(1)
	}
	c.next.Add(1)
}

// pour sends numbered frames until it is told to stop, and returns how many.
func pour(t *testing.T, from, to *node.Node, stop <-chan struct{}) (sent uint64) {
	frame := make([]byte, 128)
	for {
		select {
		case <-stop:
			return sent
		default:
		}
		binary.LittleEndian.PutUint64(frame, sent)
		if err := from.Send(t.Context(), to.ID(), node.ProtocolUser, 0, frame); err != nil {
			t.Errorf("frame %d: %v", sent, err)
			return sent
		}
		sent++
	}
}

// floodMemory is what a node may hold while it is flooded: what NATS keeps for each client that does not read, and for the
// gateway's own connection, before it cuts it (64 MiB), and what the gateway's bounded queues and the nodes need.
const floodMemory = (64*(floodDeaf+1) + 256) << 20

// TestFlood has plain NATS clients in a process of their own publish and call as fast as they can, and subscribe without
// reading, while a session of the same node carries numbered frames both ways: none may be missing, the session must
// stay what it is, and the node's memory must stay bounded.
func TestFlood(t *testing.T) {
	dir := t.TempDir()
	b := start(t, "b@127.0.0.1", dir, false)
	a := start(t, "a@127.0.0.1", dir, true)
	fatal(t, a.node.WaitPeers(t.Context(), 1))
	atA, atB := new(numbered), new(numbered)
	fatal(t, a.node.Handle(node.ProtocolUser, atA))
	fatal(t, b.node.Handle(node.ProtocolUser, atB))
	scope, err := b.groups.Scope("pg")
	fatal(t, err)
	var member atomic.Int64
	fatal(t, scope.Join(floodGroup, b.runtime.SpawnBehaviour(process.HandleFunc(func(*process.Process, process.Message) error {
		member.Add(1)
		return nil
	}))))
	conn := a.node.Peers()[0].Conn
	lost := a.node.Counters()["frames_lost"] + b.node.Counters()["frames_lost"]

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), floodEnv+"="+a.node.ClientAddr())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	fatal(t, err)
	out, err := cmd.StdoutPipe()
	fatal(t, err)
	fatal(t, cmd.Start())
	defer func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the flood says %q, %v", lines.Text(), lines.Err())
	}

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var toA, toB uint64
	wg.Go(func() { toB = pour(t, a.node, b.node, stop) })
	wg.Go(func() { toA = pour(t, b.node, a.node, stop) })
	var most uint64
	for end := time.Now().Add(floodFor); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	close(stop)
	wg.Wait()
	fatal(t, in.Close())
	if !lines.Scan() {
		t.Fatal("the flood has ended early")
	}
	meshtest.Eventually(t, "all frames to arrive", func() bool { return atA.next.Load() == toA && atB.next.Load() == toB })

	t.Logf("%s messages of clients; %d and %d frames; %d of the group arrived over the session; at most %d MB; %+v",
		lines.Text(), toA, toB, member.Load(), most>>20, a.gateway.Stats())
	if s := a.gateway.Stats(); s.Calls == 0 || s.Broadcasts == 0 || s.Delivered == 0 {
		t.Errorf("the flood was none: %+v", s)
	}
	if toA == 0 || toB == 0 || member.Load() == 0 {
		t.Error("nothing was sent beside the flood")
	}
	for _, c := range []*numbered{atA, atB} {
		if c.wrong.Load() > 0 || c.downs.Load() > 0 {
			t.Errorf("%d frames with a wrong number, %d sessions ended", c.wrong.Load(), c.downs.Load())
		}
	}
	if now := a.node.Counters()["frames_lost"] + b.node.Counters()["frames_lost"]; now != lost {
		t.Errorf("%d frames are lost", now-lost)
	}
	if peers := a.node.Peers(); len(peers) != 1 || peers[0].Conn != conn {
		t.Errorf("the session was %d, there is now %+v", conn, peers)
	}
	if most > floodMemory {
		t.Errorf("the node held %d MB, %d may", most>>20, floodMemory>>20)
	}
}

// floodFor is how long the flood lasts.
const floodFor = 3 * time.Second
