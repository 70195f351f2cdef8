package leader_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/leader"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
	"github.com/kith-mesh/kith/rpc"
)

// childEnv holds what a child process is to do: a childSpec.
const childEnv = "KITH_LEADER_TEST_CHILD"

// childSpec is a holder in a process of its own: it leads, or has a lock, and writes under its token until it is refused.
type childSpec struct {
	Lock   bool
	Mesh   string
	Cookie []byte
	Join   []string
	Guard  string // the node whose function takes the writes
}

// write is the function of the guarded resource. Its argument is the token.
const write = "resource.write"

// child is the life of the holder. It pays no heed to its context, as a holder that was stopped between looking at it and
// writing.
func child() error {
	var spec childSpec
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &spec); err != nil {
		return err
	}
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Name: "child@127.0.0.1", Mesh: spec.Mesh, Cookie: spec.Cookie, Join: spec.Join, Tick: tick})
	if err != nil {
		return err
	}
	defer n.Close()
	s, err := quorum.Open(ctx, n, quorum.WithLease(lease))
	if err != nil {
		return err
	}
	calls, err := rpc.New(n)
	if err != nil {
		return err
	}
	held, token, err := holdIn(ctx, n, s, spec)
	if err != nil {
		return err
	}
	fmt.Println("holds", token)
	context.AfterFunc(held, func() { fmt.Println("ended", context.Cause(held)) })
	for {
		_, err := rpc.Call[uint64, bool](ctx, calls, spec.Guard, write, token)
		if err != nil && strings.Contains(err.Error(), quorum.ErrFenced.Error()) {
			fmt.Println("refused", token)
			<-held.Done()
			_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
			return nil
		}
		time.Sleep(5 * time.Millisecond) // other errors pass: the session was lost, and comes back
	}
}

func holdIn(ctx context.Context, n *node.Node, s *quorum.Store, spec childSpec) (context.Context, uint64, error) {
	if !spec.Lock {
		c, err := leader.Campaign(ctx, leader.Quorum(n.Name(), s), "frozen")
		if err != nil {
			return nil, 0, err
		}
		term := <-c.Terms()
		return term.Context(), term.Epoch(), nil
	}
	rt, err := process.New(n)
	if err != nil {
		return nil, 0, err
	}
	names, err := global.New(rt, global.Quorum(s))
	if err != nil {
		return nil, 0, err
	}
	l, err := names.Lock(ctx, "frozen", n.Name())
	if err != nil {
		return nil, 0, err
	}
	return l.Context(), l.Token(), nil
}

// TestFrozenHolder stops the process of a leader, and of the holder of a lock, with SIGSTOP for longer than its lease.
// Somebody else leads meanwhile; what the old holder writes when it goes on is refused.
func TestFrozenHolder(t *testing.T) {
	t.Parallel()
	for name, byLock := range map[string]bool{"LEAD-10_leader": false, "lock": true} {
		t.Run(name, func(t *testing.T) { frozenHolder(t, byLock) })
	}
}

func frozenHolder(t *testing.T, byLock bool) {
	spec := childSpec{Lock: byLock}
	f := newQuorumField(t, 3, meshtest.Configure(func(c *node.Config) { spec.Mesh, spec.Cookie = c.Mesh, c.Cookie }))
	var fence quorum.Fence
	var accepted, refused atomic.Uint64 // tokens of the last writes
	calls, err := rpc.New(f.Node(1))
	must(t, err)
	must(t, rpc.Register(calls, write, func(_ context.Context, token uint64) (bool, error) {
		if err := fence.Check(token); err != nil {
			refused.Store(token)
			return false, err
		}
		accepted.Store(token)
		return true, nil
	}))
	spec.Join, spec.Guard = []string{f.Node(1).Addr()}, f.Node(1).Name()
	p := spawn(t, spec)
	var old uint64
	if _, err := fmt.Sscan(p.await("holds "), &old); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "the holder writes", func() bool { return accepted.Load() == old })

	p.signal(syscall.SIGSTOP)
	held, token := f.successor(byLock)
	if token <= old {
		t.Fatalf("token %d after %d", token, old)
	}
	must(t, fence.Check(token)) // the successor writes
	p.signal(syscall.SIGCONT)
	p.await("refused " + fmt.Sprint(old))
	if why := p.await("ended "); !strings.Contains(why, quorum.ErrLeaseLost.Error()) {
		t.Errorf("the holder's context ended with %q", why)
	}
	if refused.Load() != old {
		t.Errorf("%d was refused, want %d", refused.Load(), old)
	}
	if held.Err() != nil {
		t.Errorf("the successor was deposed: %v", context.Cause(held))
	}
}

// successor waits until somebody in this process leads, or has the lock.
func (f *field) successor(byLock bool) (context.Context, uint64) {
	f.t.Helper()
	if !byLock {
		_, term := wins(f.t, f.campaign(1, "frozen"))
		return term.Context(), term.Epoch()
	}
	rt, err := process.New(f.Node(2))
	must(f.t, err)
	s, err := quorum.Open(f.t.Context(), f.Node(2), quorum.WithLease(lease))
	must(f.t, err)
	f.t.Cleanup(func() { _ = s.Close() })
	names, err := global.New(rt, global.Quorum(s))
	must(f.t, err)
	l, err := names.Lock(f.t.Context(), "frozen", "successor")
	must(f.t, err)
	return l.Context(), l.Token()
}

// holder is a child process.
type holder struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func spawn(t *testing.T, spec childSpec) *holder {
	t.Helper()
	data, err := json.Marshal(spec)
	must(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(data))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	p := &holder{t: t, cmd: cmd, lines: make(chan string, 16)}
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
	return p
}

func (p *holder) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// await returns what follows prefix in the next line that starts with it; lines before it are put aside.
func (p *holder) await(prefix string) string {
	p.t.Helper()
	var others []string
	defer func() {
		for _, line := range others {
			p.lines <- line
		}
	}()
	late := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the child has ended; %q was awaited", prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
			others = append(others, line)
		case <-late:
			p.t.Fatalf("the child does not say %q, only %q", prefix, others)
		}
	}
}
