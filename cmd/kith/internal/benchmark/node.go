package benchmark

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kith-mesh/kith/node"
)

const (
	// lives is how often a node is started and killed.
	lives = 15
	// idle is how long a node is left alone before its memory is read.
	idle = 3 * time.Second
	// starters are how many nodes start at once.
	starters = 50
	// quickStarters are how many where all is to be quick.
	quickStarters = 5
	// formPatience bounds how long their mesh is waited for.
	formPatience = 45 * time.Second
)

// measureNode is the start, the death and the memory of kith node, and the forming of a mesh of many.
//
// The command kith has no plain text, so these are with TLS whatever is asked for.
func measureNode(t *turn) error {
	var err error
	t.job.Plaintext = false
	if t.here, err = t.job.start(t.ctx); err != nil {
		return err
	}
	m := t.here.node.Monitor()
	defer m.Close()
	var up, down []time.Duration
	for i := range t.times(lives) {
		begin := time.Now()
		p, err := t.kithNode(fmt.Sprint("n", i))
		if err != nil {
			return err
		}
		ev, err := await(t.ctx, m)
		up = append(up, time.Since(begin))
		if err != nil || !ev.Up {
			p.kill()
			return fmt.Errorf("no nodeup but %v: %w", ev, err)
		}
		if _, err := p.out.ReadString('\n'); err != nil { // it is ready
			p.kill()
			return err
		}
		if i == 0 {
			if err := t.idle(p); err != nil {
				return err
			}
		}
		begin = time.Now()
		if err := p.cmd.Process.Kill(); err != nil {
			return err
		}
		ev, err = await(t.ctx, m)
		down = append(down, time.Since(begin))
		_ = p.cmd.Wait()
		if err != nil || ev.Up {
			return fmt.Errorf("no nodedown but %v: %w", ev, err)
		}
	}
	t.say("starts and deaths: done")
	t.figures["boot_to_nodeup_p50_ms"] = quantile(up, 0.5, time.Millisecond)
	t.figures["nodedown_kill_p50_ms"] = quantile(down, 0.5, time.Millisecond)
	return t.formMesh()
}

// kithNode starts kith node in this mesh.
func (t *turn) kithNode(name string) (*process, error) {
	args := append([]string{"node", "--name", name}, t.common()...)
	p, _, err := execute(t.ctx, t.log, t.Program, args...)
	return p, err
}

// common are the flags of a kith command in this mesh. The cookie is that of the folder.
func (t *turn) common() []string {
	return []string{"--mesh", "bench", "--data-dir", t.Dir, "--log-level", "warn"}
}

// await waits for the next event of a monitor.
func await(ctx context.Context, m *node.Monitor) (node.Event, error) {
	select {
	case ev := <-m.Events():
		return ev, nil
	case <-time.After(patience / 4):
		return node.Event{}, context.DeadlineExceeded
	case <-ctx.Done():
		return node.Event{}, ctx.Err()
	}
}

// idle reads the resident memory of a node that has nothing to do.
func (t *turn) idle(p *process) error {
	select {
	case <-time.After(t.pace(idle)):
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil { // not Linux: the figure is absent
		return nil
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				return fmt.Errorf("reading the memory of a process: %w", err)
			}
			t.figures["rss_idle_kb"] = kb
		}
	}
	return nil
}

// formMesh is how long many nodes that start at once take until each sees all the others.
func (t *turn) formMesh() error {
	t.here.close()
	t.here = nil
	var err error
	if t.Dir, err = os.MkdirTemp(t.Dir, "crowd-"); err != nil { // nobody of before is listed there
		return err
	}
	count := starters
	if t.Quick {
		count = quickStarters
	}
	begin := time.Now()
	for i := range count {
		j := t.job
		j.Topic, j.Name, j.Peers = "", fmt.Sprintf("m%d@127.0.0.1", i), count-1
		w, err := launch(t.ctx, t.Program, j, t.log)
		if err != nil {
			return err
		}
		t.workers = append(t.workers, w)
	}
	defer func() { // they need not say goodbye
		for _, w := range t.workers {
			w.kill()
		}
		t.workers = nil
	}()
	formed := make(chan error, count)
	for _, w := range t.workers {
		go func() {
			var ready bool
			formed <- w.read(&ready)
		}()
	}
	late := time.After(formPatience)
	for i := range count {
		select {
		case err := <-formed:
			if err != nil {
				return err
			}
		case <-late:
			// A machine that does not get there is no reason to throw away the rest; the figure is absent.
			t.say("%d of %d nodes that started at once see all others after %v", i, count, formPatience)
			return nil
		}
	}
	t.say("%d at once: done", count)
	if t.Quick {
		return nil
	}
	t.figures["full_mesh_50_ms"] = float64(time.Since(begin)) / float64(time.Millisecond)
	return nil
}
