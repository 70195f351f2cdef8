package main

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/internal/cookie"
)

// Clients of the port that --client-listen opens log in as clientUser, with the password in a file of the data dir, unless
// users are given.
const (
	clientUser         = "kith"
	clientPasswordFile = "client-password"
)

// clientPort is the port for plain NATS clients, or nil where none is asked for. A node with a certificate of its own has TLS
// on it, with the same certificate, which may be renewed.
func clientPort(cfg config.Config, secrets *reloader) (*broker.Clients, error) {
	if cfg.ClientListen == "" {
		return nil, nil
	}
	users, err := clientUsers(cfg)
	if err != nil {
		return nil, err
	}
	c := &broker.Clients{Listen: cfg.ClientListen, Users: users}
	if secrets.certificate.Load() != nil {
		c.TLS = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &secrets.certificate.Load().Own, nil },
		}
	}
	return c, nil
}

// clientUsers are those of the file that is named, or the one whose password is made on first use.
func clientUsers(cfg config.Config) ([]broker.ClientUser, error) {
	if cfg.ClientUsers != "" {
		users, err := readUsers(cfg.ClientUsers)
		if err != nil {
			return nil, cfg.Reject("client-users", err)
		}
		return withoutControl(users), nil
	}
	password, err := cookie.LoadOrCreate(filepath.Join(cfg.DataDir, clientPasswordFile))
	if err != nil {
		return nil, fmt.Errorf("the password for NATS clients: %w", err)
	}
	return withoutControl([]broker.ClientUser{{Name: clientUser, Password: string(password)}}), nil
}

// withoutControl refuses what stops a node or has it read its secrets anew to users for whom nobody said what they may call.
func withoutControl(users []broker.ClientUser) []broker.ClientUser {
	for i := range users {
		if users[i].Publish == nil {
			users[i].DenyPublish = append(users[i].DenyPublish, callSubject+admin.FuncStop, callSubject+admin.FuncReload)
		}
	}
	return users
}

// callSubject stands before a function's name in the subject on which plain NATS clients call it.
const callSubject = "kith.fn."

// storeNodes is the list of the mesh's store nodes, by full name.
func storeNodes(cfg config.Config) map[string]string {
	nodes := make(map[string]string, len(cfg.Store))
	for _, s := range cfg.Store {
		nodes[fullName(s.Name)] = s.Addr
	}
	return nodes
}
