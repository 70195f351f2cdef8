package global_test

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

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// childEnv holds the configuration of a store node that is to run in a process of its own: a childSpec.
const childEnv = "KITH_GLOBAL_TEST_CHILD"

// childSpec is what a child needs of a node.Config.
type childSpec struct {
	Name, Mesh, Listen, Advertise, DataDir string
	Cookie                                 []byte
	Join                                   []string
	Tick                                   time.Duration
	Store                                  map[string]string
}

// child runs one store node until its standard input ends.
func child() error {
	var c childSpec
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &c); err != nil {
		return err
	}
	n, err := node.Start(context.Background(), node.Config{
		Name: c.Name, Mesh: c.Mesh, Cookie: c.Cookie, Listen: c.Listen, Advertise: c.Advertise, Join: c.Join, Tick: c.Tick,
		DataDir: c.DataDir, Store: c.Store,
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return n.Close()
}

// storeProcess is a store of a mesh that is a process of its own, so that it can be frozen and killed.
type storeProcess struct {
	t    testing.TB
	m    *meshtest.Mesh
	spec childSpec
	cmd  *exec.Cmd
	end  func()
}

// start begins a life.
func (p *storeProcess) start() {
	p.t.Helper()
	data, err := json.Marshal(p.spec)
	must(p.t, err)
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(data))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	in, err := p.cmd.StdinPipe()
	must(p.t, err)
	p.m.Links().Expect(p.spec.Name)
	must(p.t, p.cmd.Start())
	cmd := p.cmd
	p.end = func() {
		_ = in.Close()
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		p.t.Fatalf("the store says %q, %v", line, err)
	}
}

// kill is kill -9, and a new life.
func (p *storeProcess) kill() {
	p.end()
	p.start()
}

func (p *storeProcess) freeze(d time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}
