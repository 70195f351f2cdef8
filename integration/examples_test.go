package integration

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// example is a program of examples/, built for the test.
type example struct {
	m   *mesh
	bin string
}

func buildExample(t *testing.T, name string) *example {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", bin, "../examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return &example{m: newMesh(t), bin: bin}
}

// start runs one node of the example and waits until it is ready.
func (e *example) start(name string, args ...string) *proc {
	e.m.t.Helper()
	full := name + "@127.0.0.1"
	args = append([]string{"-name", full, "-data", filepath.Join(e.m.dir, "example")}, args...)
	p := e.m.runBy(func(cmd *exec.Cmd) error {
		cmd.Path, cmd.Args[0] = e.bin, e.bin
		cmd.Env = append(cmd.Env, "KITH_COOKIE=a cookie for the examples")
		return cmd.Start()
	}, name, args...)
	p.line("ready " + full)
	return p
}

// TestExamplePriceCache: updates spread to all, who joins is synchronised, who leaves is noticed.
func TestExamplePriceCache(t *testing.T) {
	e := buildExample(t, "pricecache")
	a, b := e.start("a"), e.start("b")
	a.line("joined b@127.0.0.1")
	a.say("set apple 120")
	a.line("price apple 120")
	b.line("price apple 120")
	b.say("set pear 80")
	a.line("price pear 80")
	a.say("set apple 130")
	b.line("price apple 130")
	c := e.start("c")
	c.say("list")
	c.expect("the prices of the others", func(s string) bool { return s == "price apple 130" || s == "price pear 80" }, patience)
	e.m.until("all prices are there", func() bool {
		c.say("list")
		return c.count(`^list apple=130 pear=80$`) > 0
	})
	c.say("set fig 10")
	a.line("price fig 10")
	b.kill()
	a.line("left b@127.0.0.1")
	c.line("left b@127.0.0.1")
	b = e.start("b")
	a.line("joined b@127.0.0.1")
	e.m.until("a new life knows all", func() bool {
		b.say("list")
		return b.count(`^list apple=130 fig=10 pear=80$`) > 0
	})
}

// TestExampleLeader: three nodes, the leader is killed, another takes over, and the old one follows when it comes back.
func TestExampleLeader(t *testing.T) {
	const tick = 250 * time.Millisecond
	e := buildExample(t, "leader")
	args := []string{"-tick", tick.String()}
	a := e.start("a", args...)
	a.match(`^leading, epoch \d+$`)
	b, c := e.start("b", args...), e.start("c", args...)
	sees := func(p *proc, leader string, times int) {
		t.Helper()
		e.m.until(p.name+" sees "+leader, func() bool { return p.count(`^leader `+leader+`@127\.0\.0\.1 epoch \d+$`) >= times })
	}
	sees(b, "a", 1)
	sees(c, "a", 1)

	a.kill()
	first, second := b, c
	e.m.until("another leads", func() bool {
		if c.count(`^leading`) > 0 {
			first, second = c, b
		}
		return first.count(`^leading`) > 0
	})
	sees(second, first.name, 1)
	a = e.start("a", args...)
	sees(a, first.name, 1)
	if a.count(`^leading`) > 0 {
		t.Error("the old leader leads again, though there is one")
	}

	first.freeze()
	other := second
	e.m.until("another leads while the leader is frozen", func() bool {
		if a.count(`^leading`) > 0 {
			other = a
		}
		return other.count(`^leading`) > 0
	})
	time.Sleep(2 * tick) // longer than anybody needs to notice it
	first.thaw()
	first.match(`^not leading: deposed`)
	sees(first, other.name, 1)
	if n := other.count(`^not leading`); n > 0 {
		t.Errorf("the frozen leader deposed the new one")
	}
}
