package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/node"
)

const (
	// watchPause is how often kith watch looks for nodes that it is not connected to.
	watchPause = 100 * time.Millisecond
	// watchRetry is how long it leaves a node alone that did not answer.
	watchRetry = time.Second
)

// change is one line of kith watch -o json.
type change struct {
	Event  string      `json:"event"`
	Name   string      `json:"name"`
	Reason node.Reason `json:"reason,omitempty"`
}

func (a *app) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "follow who comes and goes, until interrupted",
		Long: `watch connects to every visible node that it hears of and prints "nodeup NAME" and "nodedown NAME REASON". It waits
for nodes when there are none. With -o json each line is an object.`,
		Example:           "  kith watch",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			q, err := a.startQuery(cmd.Context(), cfg)
			if err != nil {
				return interrupted(cmd.Context(), err)
			}
			defer q.leave()
			return a.watch(cmd.Context(), q)
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag)
	return cmd
}

// watch prints changes until ctx ends.
func (a *app) watch(ctx context.Context, q *query) error {
	monitor := q.node.Monitor(node.WithHidden()) // all sessions of a hidden node are hidden
	defer monitor.Close()
	go q.seek(ctx)
	for {
		select {
		case e, open := <-monitor.Events():
			if !open {
				return errors.New("the node has stopped")
			}
			if err := a.printChange(q.cfg, e); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *app) printChange(cfg config.Config, e node.Event) error {
	c := change{Event: "nodedown", Name: e.Peer.Name, Reason: e.Reason}
	line := fmt.Sprintf("nodedown %s %s\n", c.Name, c.Reason)
	if e.Up {
		c.Event, line = "nodeup", fmt.Sprintf("nodeup %s\n", c.Name)
	}
	if cfg.Output == config.OutputJSON {
		return json.NewEncoder(a.stdout).Encode(c)
	}
	_, err := fmt.Fprint(a.stdout, line)
	return err
}

// seek connects to visible nodes as they can be reached, until ctx ends or the node stops. A node that does not answer
// holds up no other.
func (q *query) seek(ctx context.Context) {
	look := time.NewTicker(watchPause)
	defer look.Stop()
	again := map[node.ID]time.Time{} // when to try a node again
	for {
		for _, p := range q.node.Report().Peers {
			if p.Hidden || p.Connected || !p.Reachable || time.Now().Before(again[p.ID]) {
				continue
			}
			again[p.ID] = time.Now().Add(watchRetry)
			go func() {
				ctx, cancel := context.WithTimeout(ctx, watchRetry)
				defer cancel()
				_, _ = q.node.Connect(ctx, p.ID.Name) // it is tried again
			}()
		}
		select {
		case <-look.C:
		case <-q.node.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}
