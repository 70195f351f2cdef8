package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/rpc"
)

// doctorPatience is how long kith doctor waits for the report of one node, doctorShare how much longer for each node of the
// mesh: it connects to all of them.
const (
	doctorPatience = time.Second
	doctorShare    = 100 * time.Millisecond
)

// worryingTicks is how many missing ticks are a problem: one may be late on a busy host, four are the end of the session.
const worryingTicks = 2

// diagnosis is what kith doctor finds.
type diagnosis struct {
	Nodes    []admin.Report `json:"nodes"`
	Problems []string       `json:"problems"`
}

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "find out whether the mesh is whole",
		Long: `doctor asks every visible node whom it sees, with round-trip times, missed ticks, and the candidates that it
refused. It fails when a node does not answer, when two nodes do not see each other, when ticks are missing, or when a
node of this host is in nobody's list.`,
		Example:           "  kith doctor\n  kith doctor -o json",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			var d diagnosis
			err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
				d, err = q.diagnose(ctx)
				return err
			})
			if err != nil {
				return err
			}
			if err := a.print(cfg, d, d.text); err != nil {
				return err
			}
			switch n := len(d.Problems); n {
			case 0:
			case 1:
				return errors.New("1 problem found")
			default:
				return fmt.Errorf("%d problems found", n)
			}
			return nil
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag, config.TimeoutFlag)
	return cmd
}

// diagnose gathers the reports of all visible nodes and compares them.
func (q *query) diagnose(ctx context.Context) (diagnosis, error) {
	targets, err := q.visible(ctx)
	if err != nil {
		return diagnosis{}, err
	}
	d := diagnosis{Nodes: []admin.Report{}, Problems: []string{}}
	var mu sync.Mutex // guards d
	var all sync.WaitGroup
	for _, target := range targets {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, doctorPatience+time.Duration(len(targets))*doctorShare)
			defer cancel()
			err := q.connect(ctx, target)
			var r admin.Report
			if err == nil {
				r, err = rpc.Call[any, admin.Report](ctx, q.calls, target, admin.FuncReport, nil)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				d.Problems = append(d.Problems, fmt.Sprintf("%s gives no report: %v", target, err))
				return
			}
			r.Peers = slices.DeleteFunc(r.Peers, func(p admin.PeerReport) bool { return p.Name == q.node.Name() })
			d.Nodes = append(d.Nodes, r)
		})
	}
	all.Wait()
	slices.SortFunc(d.Nodes, func(a, b admin.Report) int { return strings.Compare(a.Name, b.Name) })
	d.Problems = append(d.Problems, compare(d.Nodes)...)
	d.Problems = append(d.Problems, q.unseen(targets)...)
	slices.Sort(d.Problems)
	return d, nil
}

// unseen finds nodes of this host whose process lives, and that nobody counts among the mesh.
func (q *query) unseen(seen []string) (problems []string) {
	entries, err := discovery.List(q.cfg.DataDir, q.cfg.Mesh)
	if err != nil {
		return []string{fmt.Sprintf("the registry of this host cannot be read: %v", err)}
	}
	for _, e := range entries {
		if !e.Hidden && !slices.Contains(seen, e.Name) {
			problems = append(problems, fmt.Sprintf("%s is not in the mesh, though its process %d is there", e.Name, e.PID))
		}
	}
	return problems
}

// compare finds what does not fit together in the reports of visible nodes.
func compare(reports []admin.Report) (problems []string) {
	for _, r := range reports {
		for _, other := range reports {
			if r.Name != other.Name && !r.Sees(other.Name) {
				problems = append(problems, fmt.Sprintf("%s does not see %s: %s", r.Name, other.Name, whyNot(r, other.Name)))
			}
		}
		for _, p := range r.Peers {
			if p.Connected && p.Missed >= worryingTicks {
				problems = append(problems, fmt.Sprintf("%s misses %d ticks of %s", r.Name, p.Missed, p.Name))
			}
			if p.Connected && !p.Routed && !p.Announced && p.Visibility == admin.Visible {
				problems = append(problems, fmt.Sprintf("%s sees %s without a whole route to it", r.Name, p.Name))
			}
		}
	}
	return problems
}

// whyNot says what a node knows of another that it does not see.
func whyNot(r admin.Report, name string) string {
	i := slices.IndexFunc(r.Peers, func(p admin.PeerReport) bool { return p.Name == name })
	if i < 0 {
		return "it knows nothing of it"
	}
	return absence(r.Peers[i])
}

// absence describes a peer without a session.
func absence(p admin.PeerReport) string {
	route := "no route"
	if p.Routed {
		route = "there is a route"
	}
	if p.Previous == "" {
		return route
	}
	return fmt.Sprintf("%s %s ago, %s", p.Previous, lapse(p.EndedMS), route)
}

// lapse is a time of so many milliseconds, as people say it.
func lapse(ms int64) time.Duration {
	d := time.Duration(ms) * time.Millisecond
	if d >= time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}

// text is the report for people.
func (d diagnosis) text() string {
	var b strings.Builder
	for _, r := range d.Nodes {
		fmt.Fprintf(&b, "%s at %s, a tick every %s, %d routes\n", r.Name, r.Addr, time.Duration(r.TickMS)*time.Millisecond, r.Routes)
		for _, p := range r.Peers {
			if !p.Connected && p.Visibility == admin.Hidden {
				continue // it connects to whom it likes
			}
			if !p.Connected {
				fmt.Fprintf(&b, "  does not see %s: %s\n", p.Name, absence(p))
				continue
			}
			state := p.Visibility
			if p.Draining {
				state += ", about to leave"
			}
			fmt.Fprintf(&b, "  sees %s, %s, for %s, round trip %s, heard %s ago, %d missed ticks\n", p.Name, state,
				lapse(p.UpMS), time.Duration(p.RTTMicros)*time.Microsecond, lapse(p.HeardMS), p.Missed)
		}
		for _, f := range r.Refusals {
			fmt.Fprintf(&b, "  refused %s (%d times)\n", refusal(f.Addr, f.Name, f.Why), f.Seen)
		}
	}
	for _, p := range d.Problems {
		fmt.Fprintf(&b, "problem: %s\n", p)
	}
	if len(d.Problems) == 0 {
		fmt.Fprintf(&b, "%d visible nodes, all of which see each other\n", len(d.Nodes))
	}
	return b.String()
}
