package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/global"
)

func (a *app) globalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "global [NAME]",
		Short: "list the global names of the mesh",
		Long: `global lists the names that are unique in the mesh as NAME PID NODE, as one visible node sees them. With a name it prints
that one, and fails when nobody has it.`,
		Example:           "  kith global\n  kith global chat/alice -o json",
		Args:              takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			name := strings.Join(args, "")
			if len(args) > 0 && (name == "" || len(name) > global.MaxName) {
				return usagef("bad global name of %d bytes; allowed: 1 to %d", len(name), global.MaxName)
			}
			// There is no function for one name: those that begin with it are few.
			list, err := a.globalNames(cmd, cfg, name)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return printList(a, cfg, list, globalLine)
			}
			i := slices.IndexFunc(list, func(n admin.GlobalName) bool { return string(n.Name) == name })
			if i < 0 {
				return fmt.Errorf("no such global name: %s", shown(name))
			}
			return a.print(cfg, list[i], func() string { return globalLine(list[i]) + "\n" })
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag, config.TimeoutFlag)
	return cmd
}

// globalNames asks one visible node for the global names with a prefix.
func (a *app) globalNames(cmd *cobra.Command, cfg config.Config, prefix string) (list []admin.GlobalName, err error) {
	err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
		req := admin.GlobalRequest{Prefix: admin.Name(prefix)}
		list, err = askVisible[admin.GlobalRequest, []admin.GlobalName](ctx, q, admin.FuncGlobal, req, unserved)
		return err
	})
	return list, err
}

// globalLine is NAME PID NODE.
func globalLine(n admin.GlobalName) string {
	return fmt.Sprintf("%s %s %s", shown(string(n.Name)), n.PID, n.Node)
}
