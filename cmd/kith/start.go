package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	secrets *reloader
}

// start runs a node with all layers and with the functions that others may call; stop is called when one of them asks
// the node to leave.
func start(ctx context.Context, cfg config.Config, name string, log zerolog.Logger, stop func()) (*running, error) {
	secrets, err := loadCredentials(&cfg)
	if err != nil {
		return nil, err
	}
	if name, err = coveredName(cfg, secrets, name); err != nil {
		return nil, err
	}
	nc, err := nodeConfig(cfg, secrets, name, log)
	if err != nil {
		return nil, err
	}
	nc.DataDir = cfg.DataDir
	nc.Store = storeNodes(cfg)
	if nc.Store[name] != "" && !cfg.Given("cluster-listen") {
		nc.Listen = "" // a store node listens where the list says
	}
	reload := newReloader(cfg, secrets)
	if nc.Clients, err = clientPort(cfg, reload); err != nil {
		return nil, err
	}
	if cfg.ClientListen != "" && cfg.Mode == config.ModeExternal {
		return nil, cfg.Reject("client-listen", errors.New("is not for the mode external: clients connect to that cluster"))
	}
	n, err := node.Start(ctx, nc)
	if errors.Is(err, broker.ErrInsecure) {
		return nil, cfg.Reject("client-listen", err) // the cluster port always has TLS
	}
	if errors.Is(err, broker.ErrCertificate) {
		return nil, cfg.Reject("certificate", err)
	}
	if err != nil {
		return nil, err
	}
	reload.node, reload.log = n, n.Log()
	r, err := layers(n, reload, stop)
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	return r, nil
}

// layers puts processes, groups and calls on a node.
func layers(n *node.Node, secrets *reloader, stop func()) (*running, error) {
	r := &running{node: n, secrets: secrets}
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
	if err := admin.Serve(admin.Config{Runtime: r.runtime, Groups: r.groups, Calls: r.calls, Stop: stop, Reload: secrets.reload}); err != nil {
		return nil, err
	}
	if r.names, err = global.New(r.runtime); err != nil {
		return nil, err
	}
	if err := admin.ServeGlobal(r.calls, r.names); err != nil {
		return nil, err
	}
	if addr := n.LeafAddr(); addr != "" {
		log := n.Log()
		log.Info().Str("address", addr).Msg("leaf nodes may connect: kith node --mode leaf --servers ADDRESS")
	}
	if addr := n.ClientAddr(); addr != "" {
		log := n.Log()
		users := "client-password in the data dir, for the user " + clientUser
		if secrets.cfg.ClientUsers != "" {
			users = secrets.cfg.ClientUsers
		}
		log.Info().Str("address", addr).Str("users", users).Msg("NATS clients may connect")
		g, err := gateway.New(gateway.Config{Runtime: r.runtime, Groups: r.groups, Calls: r.calls})
		if err != nil {
			return nil, err
		}
		r.calls.SetInfo("gateway", func() any { return g.Stats() })
	}
	return r, nil
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
func nodeConfig(cfg config.Config, secrets credentials, name string, log zerolog.Logger) (node.Config, error) {
	rules, err := permissions(&cfg)
	if err != nil {
		return node.Config{}, err
	}
	strategies, err := strategies(&cfg)
	if err != nil {
		return node.Config{}, err
	}
	nc := node.Config{
		Name:       name,
		Mode:       modes[cfg.Mode],
		Servers:    cfg.Servers,
		LeafListen: cfg.LeafListen,
		Mesh:       cfg.Mesh,
		Rules:      rules,
		Listen:     cfg.ClusterListen,
		Advertise:  cfg.Advertise,
		Join:       cfg.Join,
		Discovery:  strategies,
		Tick:       cfg.Tick,
		Hidden:     cfg.Hidden,
		Version:    version.Kith(),
		Log:        log,
	}
	secrets.configure(&nc)
	return nc, nil
}

// strategies makes what finds nodes, a strategy of each word. Merged into one they would keep what they have found until
// each had spoken: a name server that is down would hide the nodes of this host. The node itself counts whom it has heard.
func strategies(cfg *config.Config) ([]discovery.Strategy, error) {
	list := []discovery.Strategy{}
	for _, word := range cfg.Discover {
		s, err := discovery.Parse([]string{word}, discovery.Options{
			DataDir: cfg.DataDir, Static: cfg.Join, Extra: extraStrategies(),
		})
		if err != nil {
			return nil, cfg.Reject("discover", err)
		}
		list = append(list, s)
	}
	return list, nil
}

// permissions reads the rules.
func permissions(cfg *config.Config) ([]node.Rule, error) {
	rules := make([]node.Rule, 0, len(cfg.Permit))
	for _, s := range cfg.Permit {
		r, err := node.ParseRule(s)
		if err != nil {
			return nil, cfg.Reject("permit", err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// modes are the configuration's modes as the broker's.
var modes = map[config.Mode]broker.Mode{
	"": broker.Embedded, config.ModeEmbedded: broker.Embedded, config.ModeLeaf: broker.Leaf, config.ModeExternal: broker.External,
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

// coveredName is a name for a node whose name was not given, or the given one. With a certificate it must be one that this
// is for: of the hosts that the certificate names, the first that will do.
func coveredName(cfg config.Config, secrets credentials, name string) (string, error) {
	if secrets.certificate == nil || secrets.certificate.Covers(name) == nil {
		return name, nil
	}
	err := secrets.certificate.Covers(name)
	if cfg.Given("name") {
		return "", cfg.Reject("certificate", err)
	}
	short, _, _ := strings.Cut(name, "@")
	for _, host := range secrets.certificate.Hosts() {
		if other := short + "@" + host; secrets.certificate.Covers(other) == nil {
			return other, nil
		}
	}
	return "", cfg.Reject("certificate", fmt.Errorf("%w; give a name that it is for with --name", err))
}

// madeUpName is a node name that nobody else has: the prefix and six random characters.
func madeUpName(prefix string) string {
	return fullName(fmt.Sprintf("%s-%s", prefix, strings.ToLower(rand.Text()[:6])))
}
