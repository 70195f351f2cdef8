package main

import (
	"fmt"
	"path/filepath"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/internal/cookie"
)

// Clients of the port that --client-listen opens log in as clientUser, with the password in a file of the data dir.
const (
	clientUser         = "kith"
	clientPasswordFile = "client-password"
)

// clientPort is the port for plain NATS clients, or nil where none is asked for. Its password is made on first use.
func clientPort(cfg config.Config) (*broker.Clients, error) {
	if cfg.ClientListen == "" {
		return nil, nil
	}
	file := filepath.Join(cfg.DataDir, clientPasswordFile)
	password, err := cookie.LoadOrCreate(file)
	if err != nil {
		return nil, fmt.Errorf("the password for NATS clients: %w", err)
	}
	return &broker.Clients{
		Listen: cfg.ClientListen,
		Users:  []broker.ClientUser{{Name: clientUser, Password: string(password)}},
	}, nil
}

// storeNodes is the list of the mesh's store nodes, by full name.
func storeNodes(cfg config.Config) map[string]string {
	nodes := make(map[string]string, len(cfg.Store))
	for _, s := range cfg.Store {
		nodes[fullName(s.Name)] = s.Addr
	}
	return nodes
}
