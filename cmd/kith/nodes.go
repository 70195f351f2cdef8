package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/rpc"
)

func (a *app) nodesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "list the nodes of the mesh",
		Long: `nodes asks one visible node whom it is connected to and prints NAME visible or NAME hidden for each, itself
included.`,
		Example:           "  kith nodes\n  kith nodes --join 10.0.0.1:7000 -o json",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			var list []admin.NodeInfo
			err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
				list, err = q.nodes(ctx)
				return err
			})
			if err != nil {
				return err
			}
			return printList(a, cfg, list, func(n admin.NodeInfo) string { return n.Name + " " + n.Visibility })
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag, config.TimeoutFlag)
	return cmd
}

// nodes asks one visible node for the nodes of the mesh, and leaves the one that asks out of the answer.
func (q *query) nodes(ctx context.Context) ([]admin.NodeInfo, error) {
	all, err := askVisible[any, []admin.NodeInfo](ctx, q, admin.FuncNodes, nil, unserved)
	list := make([]admin.NodeInfo, 0, len(all))
	for _, n := range all {
		if n.Name != q.node.Name() {
			list = append(list, n)
		}
	}
	return list, err
}

// unserved says that the node that was asked does not have the function, while another may.
func unserved(err error) bool {
	kind := rpc.ErrorKind(err)
	return kind == rpc.KindNoFunction || kind == rpc.KindNotSupported
}
