package integration

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// netTick is the interval of ticks in most of these tests, a quarter of the usual one so that they take less time.
const netTick = 250 * time.Millisecond

// netMesh is a mesh of nodes on hosts of their own. Each node is a chat, whose lines tell what it sees.
type netMesh struct {
	*mesh
	net   *network
	tick  time.Duration
	nodes []*proc        // by position on the network
	marks map[*proc]int  // lines of each at the last mark
	base  map[string]int // connections from each to each when the mesh was whole
	files map[*proc]int  // open files of each then
	words int            // rounds of talk so far
}

// newNetMesh starts nodes n1, n2 and so on, with room for more hosts. All know the address of the first one only: every
// route between others comes by gossip.
func newNetMesh(t *testing.T, nodes, spare int, tick time.Duration) *netMesh {
	t.Helper()
	m := &netMesh{net: newNetwork(t, nodes+spare), tick: tick, nodes: make([]*proc, nodes+spare)}
	m.mesh = newMesh(t) // made later, ended sooner: the processes end before their network does
	for i := 1; i <= nodes; i++ {
		m.boot(i, "n"+itoa(i))
	}
	m.whole()
	m.mark()
	return m
}

// port is where every node listens on its host.
const port = ":7000"

// boot starts a node on a host, and waits until it runs.
func (m *netMesh) boot(host int, name string) *proc {
	m.t.Helper()
	h := m.net.hosts[host-1]
	dir := filepath.Join(m.dir, "host"+itoa(host))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	p := m.runBy(func(cmd *exec.Cmd) error {
		cmd.Env = append(cmd.Env, "KITH_DATA_DIR="+dir, "KITH_LOG_LEVEL=info")
		return h.start(cmd)
	}, name, "chat", "--nick", name, "--name", name+"@mesh", "--tick", m.tick.String(), "--discover", "none",
		"--cluster-listen", h.addr.String()+port, "--join", subnet+"1"+port, "--cookie", "a cookie for this network only")
	m.nodes[host-1] = p
	p.match(`^\* connected as `)
	return p
}

// at is the node on a host.
func (m *netMesh) at(host int) *proc { return m.nodes[host-1] }

// present lists the hosts with a living node.
func (m *netMesh) present() (list []int) {
	for i, p := range m.nodes {
		if p != nil && p.running() {
			list = append(list, i+1)
		}
	}
	return list
}

// whole waits until every node counts every other among the chat, and hears it.
func (m *netMesh) whole() {
	m.t.Helper()
	m.agree(m.present()...)
}

// agree is whole for some hosts only, which count nobody else.
func (m *netMesh) agree(hosts ...int) {
	m.t.Helper()
	var names []string
	for _, i := range hosts {
		names = append(names, m.at(i).name)
	}
	slices.Sort(names)
	roster := "* lobby: " + strings.Join(names, ", ")
	for _, i := range hosts {
		p := m.at(i)
		m.until(p.name+" sees "+roster, func() bool {
			p.cursor = p.out.len() // what it wrote before is no answer
			p.say("/who")
			return p.match(`^\* lobby: `) == roster
		})
	}
	m.words++
	for _, i := range hosts {
		m.at(i).say(fmt.Sprintf("word %d", m.words))
	}
	for _, i := range hosts {
		for _, j := range hosts {
			m.hears(i, j)
		}
	}
}

// hears waits until one node has written the latest words of another.
func (m *netMesh) hears(i, j int) {
	m.t.Helper()
	want := fmt.Sprintf("[lobby] %s: word %d", m.at(j).name, m.words)
	_, _, ok := m.at(i).out.find(0, func(s string) bool { return s == want }, time.Now().Add(patience))
	if !ok {
		m.t.Fatalf("%s did not hear %q", m.at(i).name, want)
	}
}

// mark notes how things stand, with a mesh that is whole: what is lost, comes back and stays is counted from here.
func (m *netMesh) mark() {
	m.marks, m.files = map[*proc]int{}, map[*proc]int{}
	m.base = m.connections()
	for _, i := range m.present() {
		m.marks[m.at(i)] = m.at(i).out.len()
		m.files[m.at(i)] = m.at(i).openFiles()
	}
}

// pairs lists each of some with each of others, both ways.
func pairs(some, others []int) (list []way) {
	for _, a := range some {
		for _, b := range others {
			if a != b {
				list = append(list, way{a, b}, way{b, a})
			}
		}
	}
	return list
}

// after waits until each first node of the pairs has written a line about the second, since the mark, and checks that
// this was between least and most after a moment.
func (m *netMesh) after(moment time.Time, list []way, line string, least, most time.Duration) {
	m.t.Helper()
	var latest time.Duration
	for _, w := range list {
		p, want := m.at(w.from), fmt.Sprintf(line, m.at(w.to).name)
		_, e, ok := p.out.find(m.marks[p], func(s string) bool { return s == want }, moment.Add(most+patience))
		if !ok {
			m.t.Fatalf("%s did not write %q", p.name, want)
		}
		took := e.at.Sub(moment)
		if took < least || took > most {
			m.t.Errorf("%s wrote %q after %v, want %v to %v", p.name, want, took, least, most)
		}
		latest = max(latest, took)
	}
	m.t.Logf("%d nodes wrote %q, the last after %v", len(list), line, latest.Round(time.Millisecond))
}

// What a node writes about another.
const (
	up       = "* node up %s@mesh"
	timedOut = "* node down %s@mesh (net_tick_timeout)"
	closed   = "* node down %s@mesh (connection_closed)"
	left     = "* node down %s@mesh (shutdown)"
)

// timesOut checks that the first of each pair misses the second after four ticks, plus or minus one.
func (m *netMesh) timesOut(since time.Time, list []way) {
	m.t.Helper()
	m.after(since, list, timedOut, 3*m.tick, 5*m.tick)
}

// unheard checks the evidence of the only loss of a peer that a node has logged: four ticks, plus or minus one, after the last
// frame heard.
func (m *netMesh) unheard(node, peer int) {
	m.t.Helper()
	pattern := `nodedown .*evidence="nothing heard for (\S+): .* peer=` + m.at(peer).name + `@mesh`
	line := m.at(node).stderrMatch(pattern)
	silent, err := time.ParseDuration(regexp.MustCompile(pattern).FindStringSubmatch(line)[1])
	if err != nil || silent < 3*m.tick || silent > 5*m.tick {
		m.t.Errorf("%s logged %q, want silence for four ticks of %v", m.at(node).name, line, m.tick)
	}
}

// ledger checks what each node has written since the mark about others that came and went, whole and in order: the
// lines for the pairs, and nothing about anybody else.
func (m *netMesh) ledger(list []way, lines ...string) {
	m.t.Helper()
	about := regexp.MustCompile(`^\* node (?:up|down) (\w+)@mesh`)
	for _, i := range m.present() {
		p := m.at(i)
		if _, marked := m.marks[p]; !marked {
			continue // it started later
		}
		got, want := map[string][]string{}, map[string][]string{}
		for _, l := range p.out.all()[m.marks[p]:] {
			if found := about.FindStringSubmatch(l); found != nil {
				got[found[1]] = append(got[found[1]], l)
			}
		}
		for _, w := range list {
			for _, l := range lines {
				if w.from == i {
					name := m.at(w.to).name
					want[name] = append(want[name], fmt.Sprintf(l, name))
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			m.t.Errorf("%s wrote %v, want %v", p.name, got, want)
		}
	}
}

// clean checks that nothing is left over: as many connections between any two as before, and as many open files of
// everybody.
func (m *netMesh) clean() {
	m.t.Helper()
	m.eventually("as many connections as before", func() (string, bool) {
		now := m.connections()
		return fmt.Sprint(now, " instead of ", m.base), fmt.Sprint(now) == fmt.Sprint(m.base)
	})
	for p, before := range m.files {
		if p.running() {
			m.eventually(p.name+" has as many files open as before", func() (string, bool) {
				now := p.openFiles()
				return fmt.Sprintf("%d instead of %d", now, before), now == before
			})
		}
	}
}

// eventually is until with words about what is wrong.
func (m *netMesh) eventually(what string, holds func() (string, bool)) {
	m.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; <-again.C {
		wrong, ok := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			m.t.Errorf("never came to be so: %s: %s", what, wrong)
			return
		}
	}
}

// connections counts the connections of every living node that stand or are half open, by host at either end.
func (m *netMesh) connections() map[string]int {
	count := map[string]int{}
	for _, i := range m.present() {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", m.at(i).cmd.Process.Pid))
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(table), "\n") {
			const remote, state, listening, timeWait = 2, 3, "0A", "06"
			f := strings.Fields(line)
			if len(f) <= state || f[0] == "sl" || f[state] == listening || f[state] == timeWait {
				continue
			}
			count[fmt.Sprintf("%d-%d", i, hostOf(f[remote]))]++
		}
	}
	return count
}

// hostOf is the number of the host in an address as the kernel writes it: four bytes in hex, the last one first.
func hostOf(addr string) int {
	ip, err := hex.DecodeString(addr[:8])
	if err != nil {
		return 0
	}
	return int(ip[0])
}

// openFiles is how many files the process has open, without those that are open for a moment only: what the broker
// reads of /proc each second, and the list of peers while it is written.
func (p *proc) openFiles() (n int) {
	dir := "/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/fd/"
	list, _ := os.ReadDir(dir)
	for _, fd := range list {
		target, err := os.Readlink(dir + fd.Name())
		if err == nil && !strings.HasPrefix(target, "/proc/") && !strings.HasSuffix(target, ".temp") {
			n++
		}
	}
	return n
}
