package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/discovery"
)

// localNode is one line of kith names.
type localNode struct {
	Name string `json:"name"`
	Addr string `json:"addr"`
	PID  int    `json:"pid"`
}

func (a *app) namesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "names",
		Short: "list the nodes of this host",
		Long: `names lists the nodes of this host that share the data dir, as NAME HOST:PORT PID. It asks none of them: a node is
listed for as long as its process lives.`,
		Example:           "  kith names\n  kith names -o json",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			entries, err := discovery.List(cfg.DataDir, cfg.Mesh)
			if err != nil {
				return err
			}
			list := make([]localNode, 0, len(entries))
			for _, e := range entries {
				list = append(list, localNode{e.Name, e.Addr, e.PID})
			}
			return printList(a, cfg, list, func(n localNode) string { return fmt.Sprintf("%s %s %d", n.Name, n.Addr, n.PID) })
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag)
	return cmd
}

// completeNodes offers the names of this host's nodes to the shell, for the first few arguments.
func (a *app) completeNodes(arguments int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= arguments {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cfg, err := a.load(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		entries, err := discovery.List(cfg.DataDir, cfg.Mesh)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var list []cobra.Completion
		for _, e := range entries {
			list = append(list, cobra.CompletionWithDesc(e.Name, e.Addr))
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}
