package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/gateway"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/cookie"
	"github.com/kith-mesh/kith/internal/version"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// defaultHost is the host of a name that says none.
const defaultHost = "127.0.0.1"

// leavePatience bounds a clean leave; what is not done by then is cut off.
const leavePatience = 5 * time.Second

// running is a node with all its layers.
type running struct {
	node    *node.Node
	runtime *process.Runtime
	groups  *pg.Groups
	calls   *rpc.Server
	names   *global.Registry
}

// start runs a node with all layers and with the functions that others may call; stop is called when one of them asks
// the node to leave.
func start(ctx context.Context, cfg config.Config, name string, log zerolog.Logger, stop func()) (*running, error) {
	nc, err := nodeConfig(cfg, name, log)
	if err != nil {
		return nil, err
	}
	nc.DataDir = cfg.DataDir
	nc.Store = storeNodes(cfg)
	if nc.Store[name] != "" && !cfg.Given("cluster-listen") {
		nc.Listen = "" // a store node listens where the list says
	}
	if nc.Clients, err = clientPort(cfg); err != nil {
		return nil, err
	}
	n, err := node.Start(ctx, nc)
	if errors.Is(err, broker.ErrInsecure) {
		return nil, cfg.Reject("client-listen", err) // the cluster port always has the cookie's TLS
	}
	if err != nil {
		return nil, err
	}
	r, err := layers(n, stop)
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	return r, nil
}

// layers puts processes, groups and calls on a node.
func layers(n *node.Node, stop func()) (*running, error) {
	r := &running{node: n}
	var err error
	if r.runtime, err = process.New(n); err != nil {
		return nil, err
	}
	if r.groups, err = pg.New(r.runtime); err != nil {
		return nil, err
	}
	if _, err = r.groups.Scope(pg.DefaultScope); err != nil {
		return nil, err
	}
	if r.calls, err = rpc.New(n); err != nil {
		return nil, err
	}
	if err := admin.Serve(admin.Config{Runtime: r.runtime, Groups: r.groups, Calls: r.calls, Stop: stop}); err != nil {
		return nil, err
	}
	if r.names, err = global.New(r.runtime); err != nil {
		return nil, err
	}
	if err := admin.ServeGlobal(r.calls, r.names); err != nil {
		return nil, err
	}
	if addr := n.ClientAddr(); addr != "" {
		log := n.Log()
		log.Info().Str("address", addr).Str("user", clientUser).Msg("NATS clients may connect, with the password in client-password of the data dir")
		_, err = gateway.New(gateway.Config{Runtime: r.runtime, Groups: r.groups, Calls: r.calls})
	}
	return r, err
}

// leave takes the node out of the mesh in good order.
func (r *running) leave() error { return leave(r.node) }

func leave(n *node.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	return n.Shutdown(ctx)
}

// nodeConfig is the one place where the configuration becomes a node's. It has no data dir yet: without one the node
// reserves no name and is in no registry, which is right for a query.
func nodeConfig(cfg config.Config, name string, log zerolog.Logger) (node.Config, error) {
	if err := unavailable(&cfg); err != nil {
		return node.Config{}, err
	}
	secret, err := meshCookie(&cfg)
	if err != nil {
		return node.Config{}, err
	}
	strategy, err := discovery.Parse(cfg.Discover, discovery.Options{
		DataDir: cfg.DataDir, Static: cfg.Join, Extra: extraStrategies(),
	})
	if err != nil {
		return node.Config{}, cfg.Reject("discover", err)
	}
	return node.Config{
		Name:      name,
		Mesh:      cfg.Mesh,
		Cookie:    secret,
		Listen:    cfg.ClusterListen,
		Advertise: cfg.Advertise,
		Join:      cfg.Join,
		Discovery: []discovery.Strategy{strategy},
		Tick:      cfg.Tick,
		Hidden:    cfg.Hidden,
		Version:   version.Kith(),
		Log:       log,
	}, nil
}

// unavailable refuses what the configuration knows and this version's nodes do not do yet, rather than ignoring it.
func unavailable(cfg *config.Config) error {
	missing := errors.New("is not available in this version")
	switch {
	case cfg.Mode != config.ModeEmbedded:
		return cfg.Reject("mode", missing)
	case cfg.LeafListen != "":
		return cfg.Reject("leaf-listen", missing)
	}
	return nil
}

// meshCookie finds the secret of the mesh: given, in the file that is named, or in the data dir, where it is made on first
// use.
func meshCookie(cfg *config.Config) ([]byte, error) {
	if cfg.Cookie != "" {
		return []byte(cfg.Cookie), nil
	}
	if cfg.CookieFile != "" {
		secret, err := cookie.Load(cfg.CookieFile)
		if err != nil {
			return nil, cfg.Reject("cookie-file", err)
		}
		return secret, nil
	}
	return cookie.LoadOrCreate(filepath.Join(cfg.DataDir, "cookie"))
}

// fullName completes a checked NAME or NAME@HOST.
func fullName(name string) string {
	if strings.Contains(name, "@") {
		return name
	}
	return name + "@" + defaultHost
}

// nodeArgument reads a node's name from the command line, where the host may be left out.
func nodeArgument(arg string) (string, error) {
	full := fullName(arg)
	if _, _, err := address.ParseNode(full); err != nil {
		return "", usagef("bad node name %q: %w; allowed: NAME or NAME@HOST; NAME is %s, HOST is %s", arg, err,
			address.NameRule, address.HostRule)
	}
	return full, nil
}

// madeUpName is a node name that nobody else has: the prefix and six random characters.
func madeUpName(prefix string) string {
	return fullName(fmt.Sprintf("%s-%s", prefix, strings.ToLower(rand.Text()[:6])))
}
