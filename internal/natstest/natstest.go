// Package natstest runs a NATS cluster outside the test's process: nats-server itself, built from its module, a process
// for each server. It is for the tests of mode External.
package natstest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/internal/freeport"
)

// module is the program that the servers run, at the version of go.mod.
const module = "github.com/nats-io/nats-server/v2"

// startPatience bounds how long a server may take until it answers, on a crowded machine.
const startPatience = 20 * time.Second

// Cluster is a running cluster. Its methods may be called from the test's goroutine only.
type Cluster struct {
	t       testing.TB
	binary  string
	dir     string
	conf    string
	servers []*Server
}

// Server is one process of a cluster.
type Server struct {
	// URL is where clients connect.
	URL         string
	client, hub string // HOST:PORT of the client and of the cluster port
	name        string
	cmd         *exec.Cmd
	log         *bytes.Buffer
	done        chan struct{}
}

// Start runs count servers on loopback, linked to each other. conf is added to the configuration of each; it may be empty. The
// cluster ends with the test.
func Start(t testing.TB, count int, conf string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, binary: build(t), dir: t.TempDir(), conf: conf}
	addrs, err := freeport.Addrs(2 * count)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		c.servers = append(c.servers, &Server{name: fmt.Sprintf("s%d", i), client: addrs[2*i], hub: addrs[2*i+1]})
	}
	for _, s := range c.servers {
		s.URL = "nats://" + s.client
		c.run(s)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.Kill(i)
		}
	})
	for i := range c.servers {
		c.await(i)
	}
	return c
}

// URLs is where clients connect, a URL for each server.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.servers))
	for i, s := range c.servers {
		urls[i] = s.URL
	}
	return urls
}

// URL is where clients connect to one server.
func (c *Cluster) URL(i int) string { return c.servers[i].URL }

// Kill ends the i-th server at once, as a crash does, and waits until it has ended.
func (c *Cluster) Kill(i int) {
	s := c.servers[i]
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.done
	s.cmd = nil
}

// Restart runs a killed server again, at the same addresses, and returns when it answers.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.run(c.servers[i])
	c.await(i)
}

// Configure replaces what is added to the configuration of servers that are started from now on.
func (c *Cluster) Configure(conf string) { c.conf = conf }

func (c *Cluster) run(s *Server) {
	c.t.Helper()
	var routes []string
	for _, other := range c.servers {
		if other != s {
			routes = append(routes, fmt.Sprintf("%q", "nats-route://"+other.hub))
		}
	}
	text := fmt.Sprintf("server_name: %s\nlisten: %q\ncluster { name: outer, listen: %q, routes: [%s] }\n%s\n",
		s.name, s.client, s.hub, strings.Join(routes, ", "), c.conf)
	path := filepath.Join(c.dir, s.name+".conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	s.log, s.done = &bytes.Buffer{}, make(chan struct{})
	s.cmd = exec.Command(c.binary, "-c", path)
	s.cmd.Stderr, s.cmd.Stdout = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	cmd, done := s.cmd, s.done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
}

// await waits until a server greets clients and knows the others that run.
func (c *Cluster) await(i int) {
	c.t.Helper()
	s, running := c.servers[i], 0
	for _, other := range c.servers {
		if other.cmd != nil {
			running++
		}
	}
	deadline := time.Now().Add(startPatience)
	for {
		urls, err := known(s.client)
		if err == nil && (urls >= running || running == 1) {
			return
		}
		select {
		case <-s.done:
			c.t.Fatalf("nats-server ended:\n%s", s.log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("nats-server knows %d of %d servers: %v", urls, running, err)
		}
	}
}

// known asks a server how many servers it tells its clients of: itself, and those it is linked to.
func known(addr string) (int, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	var info struct {
		URLs []string `json:"connect_urls"`
	}
	err = json.Unmarshal(bytes.TrimPrefix(line, []byte("INFO ")), &info)
	return len(info.URLs), err
}

// build makes nats-server. The go command keeps its parts, so that only linking takes time, about a second.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, module).CombinedOutput(); err != nil {
		t.Fatalf("building nats-server: %v\n%s", err, out)
	}
	return path
}
