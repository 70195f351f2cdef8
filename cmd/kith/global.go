package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
)

func (a *app) globalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "global [PREFIX]",
		Short: "list the global names of the mesh",
		Long: `global lists the names that are unique in the mesh as NAME PID NODE, as one visible node sees them. With a prefix, only
those that begin with it.`,
		Example:           "  kith global\n  kith global kith.leader/ -o json",
		Args:              takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			var req admin.GlobalRequest
			if len(args) > 0 {
				req.Prefix = admin.Name(args[0])
			}
			var list []admin.GlobalName
			err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
				list, err = askVisible[admin.GlobalRequest, []admin.GlobalName](ctx, q, admin.FuncGlobal, req, unserved)
				return err
			})
			if err != nil {
				return err
			}
			return printList(a, cfg, list, func(n admin.GlobalName) string {
				return fmt.Sprintf("%s %s %s", shown(string(n.Name)), n.PID, n.Node)
			})
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag, config.TimeoutFlag)
	return cmd
}
