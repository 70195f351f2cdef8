package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

// stopped is the JSON of kith stop.
type stopped struct {
	Stopped string `json:"stopped"`
}

func (a *app) stopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "stop NODE",
		Short:             "ask a node to leave and end",
		Long:              `stop asks a node to leave the mesh in good order and to end its program, and waits until it is gone.`,
		Example:           "  kith stop a@127.0.0.1",
		Args:              takes(1, 1),
		ValidArgsFunction: a.completeNodes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			target, err := nodeArgument(args[0])
			if err != nil {
				return err
			}
			err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) error { return q.stop(ctx, target) })
			if err != nil {
				return err
			}
			return a.print(cfg, stopped{target}, func() string { return fmt.Sprintf("stopped %s\n", target) })
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag, config.TimeoutFlag)
	return cmd
}

// stop asks the node to leave and waits until it has: its session is over, and if it is one of this host, its name is
// free again.
func (q *query) stop(ctx context.Context, target string) error {
	if err := q.connect(ctx, target); err != nil {
		return err
	}
	monitor := q.node.Monitor(node.OnlyNode(target))
	defer monitor.Close()
	_, err := rpc.Call[any, bool](ctx, q.calls, target, admin.FuncStop, nil)
	if err != nil && rpc.ErrorKind(err) != rpc.KindNoConnection { // it may be gone before its answer leaves
		return err
	}
	for up := true; up; {
		select {
		case e := <-monitor.Events():
			up = e.Up
		case <-ctx.Done():
			return fmt.Errorf("%s was asked to stop and is still there", target)
		}
	}
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		if _, registered := q.entry(target); !registered {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%s has left and its process is still there", target)
		}
	}
}
