package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/rpc"
)

// connectPatience is how long kith multicall waits for a session with one node: the answers of the others are there.
const connectPatience = 2 * time.Second

// answer is what one node answered to a multicall.
type answer struct {
	Node string `json:"node"`
	// Status is "ok" or "error".
	Status string `json:"status"`
	// Result is there with ok, Kind and Message with error.
	Result  json.RawMessage `json:"result,omitempty"`
	Kind    string          `json:"kind,omitempty"`
	Message string          `json:"message,omitempty"`
}

func (a *app) multicallCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "multicall FUNC [JSON ...]",
		Short: "call a function of many nodes at once",
		Long: `multicall calls a function on all visible nodes, or on those of --nodes, at the same time, and prints NODE ok JSON
or NODE error KIND MESSAGE for each. It fails when one of them does.`,
		Example:           "  kith multicall kith.info\n  kith multicall kith.echo '\"hello\"' --nodes a,b",
		Args:              takes(1, -1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			fn, arg, err := functionArguments(args)
			if err != nil {
				return err
			}
			var answers []answer
			err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
				answers, err = q.multicall(ctx, fn, arg)
				return err
			})
			if err != nil {
				return err
			}
			if err := printList(a, cfg, answers, answer.line); err != nil {
				return err
			}
			failed := 0
			for _, an := range answers {
				if an.Status != "ok" {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d calls failed", failed, len(answers))
			}
			return nil
		},
	}
	config.AddFlags(cmd.Flags(), config.NodesFlag, config.TimeoutFlag, config.OutputFlag)
	_ = cmd.RegisterFlagCompletionFunc("nodes", a.completeNodes(1)) // the flag has just been added
	return cmd
}

// line is NODE ok JSON or NODE error KIND MESSAGE.
func (an answer) line() string {
	if an.Status == "ok" {
		return fmt.Sprintf("%s ok %s", an.Node, an.Result)
	}
	return fmt.Sprintf("%s error %s %s", an.Node, shown(an.Kind), harmless(strings.Join(strings.Fields(an.Message), " ")))
}

// multicall calls fn on every node it is meant for, all at the same time.
func (q *query) multicall(ctx context.Context, fn string, arg json.RawMessage) ([]answer, error) {
	targets, err := q.targets(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(targets))
	var all sync.WaitGroup
	for i, target := range targets {
		all.Go(func() { answers[i] = q.one(ctx, target, fn, arg) })
	}
	all.Wait()
	return answers, nil
}

// targets are the nodes of --nodes, or all visible ones, by name.
func (q *query) targets(ctx context.Context) ([]string, error) {
	if len(q.cfg.Nodes) == 0 {
		return q.visible(ctx)
	}
	var list []string
	for _, name := range q.cfg.Nodes {
		list = append(list, fullName(name))
	}
	return list, nil
}

// visible lists the visible nodes of the mesh, by name.
func (q *query) visible(ctx context.Context) (list []string, err error) {
	nodes, err := q.nodes(ctx)
	for _, n := range nodes {
		if n.Visibility == admin.Visible {
			list = append(list, n.Name)
		}
	}
	return list, err
}

// one calls fn on one node.
func (q *query) one(ctx context.Context, target, fn string, arg json.RawMessage) answer {
	limited, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	err := q.connect(limited, target)
	if err != nil {
		return answer{Node: target, Status: "error", Kind: rpc.KindNoConnection, Message: err.Error()}
	}
	result, err := q.calls.CallJSON(ctx, target, fn, arg)
	if err != nil {
		return answer{Node: target, Status: "error", Kind: rpc.ErrorKind(err), Message: err.Error()}
	}
	return answer{Node: target, Status: "ok", Result: result}
}
