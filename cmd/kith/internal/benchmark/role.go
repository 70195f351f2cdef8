package benchmark

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// RoleCommand is the hidden command of kith that calls Serve.
const RoleCommand = "bench-role"

// job is what a process is told on its standard input. It ends when that input ends, so that no process outlives the
// one that started it.
type job struct {
	// Topic is what to measure; empty for a worker.
	Topic string
	// Peers is how many peers a worker waits for before it says that it is ready.
	Peers     int
	Name      string
	Mesh      string
	Dir       string
	Cookie    []byte
	Plaintext bool
	Program   string
	// Store are the store nodes of the mesh, if it has any.
	Store map[string]string
	// Quick measures for a tenth of the time.
	Quick bool
}

// pace is how long something that usually takes d is done.
func (j *job) pace(d time.Duration) time.Duration {
	if j.Quick {
		return d / 10
	}
	return d
}

// many is how many there are of what usually comes in n.
func (j *job) many(n int) int {
	if j.Quick {
		return n / 10
	}
	return n
}

// times is how often something that is usually done n times is done: an odd number, for the median.
func (j *job) times(n int) int {
	if j.Quick {
		return n/10 | 1
	}
	return n
}

// Serve plays the role that the first line of in describes, and writes its result to out as a line of JSON.
func Serve(ctx context.Context, in io.Reader, out, log io.Writer) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	var j job
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // it ends with the process at the latest
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	stop, err := profile()
	if err != nil {
		return err
	}
	defer stop()
	if j.Topic == "" {
		return j.work(ctx, out)
	}
	measure, ok := topics[j.Topic]
	if !ok {
		return fmt.Errorf("no such topic: %s", j.Topic)
	}
	t := &turn{job: j, ctx: ctx, log: log, figures: Figures{}}
	result := report{Figures: t.figures}
	if err := measure(t); err != nil {
		result.Failed = err.Error()
	}
	t.close() // before whoever reads the result ends this process, and with it the workers
	return json.NewEncoder(out).Encode(result)
}

// report is what a measuring process says in the end: what it measured before something failed is worth telling.
type report struct {
	Figures Figures
	Failed  string
}

var topics = map[string]func(*turn) error{
	"node": measureNode, "rpc": measureRPC, "send": measureSend, "pg": measureGroups, "global": measureGlobal, "chat": measureChat,
	"isolation": measureIsolation,
}

// process is a process that was started with a job.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
	// drained is closed when the goroutine that handle started has read all; nil if there is none.
	drained chan struct{}
}

// launch starts the program in a role.
func launch(ctx context.Context, program string, j job, log io.Writer) (*process, error) {
	p, in, err := execute(ctx, log, program, RoleCommand)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(in).Encode(j); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// execute starts a program.
func execute(ctx context.Context, log io.Writer, program string, args ...string) (*process, io.Writer, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return &process{cmd: cmd, in: in, out: bufio.NewReader(out)}, in, nil
}

// read reads one line of JSON.
func (p *process) read(v any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("a process ended early: %w", err)
	}
	return json.Unmarshal(line, v)
}

// kill ends the process as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// endPatience is how long a process may take to leave before it is killed.
const endPatience = 10 * time.Second

// end asks the process to leave, and waits until it has.
func (p *process) end() {
	_ = p.in.Close()
	late := time.AfterFunc(endPatience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if p.drained != nil {
		<-p.drained
	} else {
		_, _ = io.Copy(io.Discard, p.out)
	}
	_ = p.cmd.Wait()
}

// handle has a goroutine of its own read what the process prints, with f until that returns, and then to the end.
func (p *process) handle(f func(out *bufio.Reader)) {
	p.drained = make(chan struct{})
	go func() {
		defer close(p.drained)
		f(p.out)
		_, _ = io.Copy(io.Discard, p.out)
	}()
}

// turn is one topic being measured.
type turn struct {
	job
	ctx     context.Context
	log     io.Writer
	figures Figures
	here    *site
	workers []*process
}

func (t *turn) say(format string, args ...any) { fmt.Fprintf(t.log, t.Topic+": "+format+"\n", args...) }

// start makes this process a node, and starts the workers that are named.
func (t *turn) start(names ...string) error {
	for _, name := range names {
		if err := t.launch(name, len(names)); err != nil {
			return err
		}
	}
	var err error
	if t.here, err = t.job.start(t.ctx); err != nil {
		return err
	}
	if err := t.here.node.WaitPeers(t.ctx, len(names)); err != nil {
		return err
	}
	for _, w := range t.workers {
		var ready bool
		if err := w.read(&ready); err != nil {
			return err
		}
	}
	return nil
}

// launch starts a worker.
func (t *turn) launch(name string, peers int) error {
	j := t.job
	j.Topic, j.Name, j.Peers = "", name, peers
	w, err := launch(t.ctx, t.Program, j, t.log)
	if err == nil {
		t.workers = append(t.workers, w)
	}
	return err
}

// hire starts one more worker, and waits until it is ready.
func (t *turn) hire(name string, peers int) error {
	if err := t.launch(name, peers); err != nil {
		return err
	}
	var ready bool
	return t.workers[len(t.workers)-1].read(&ready)
}

// close ends what start started.
func (t *turn) close() {
	for _, w := range t.workers {
		w.end()
	}
	if t.here != nil {
		t.here.close()
	}
}

var errLost = errors.New("messages were lost")
