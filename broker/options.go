package broker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/internal/address"
)

const (
	defaultListen     = "127.0.0.1:0"
	defaultTickWindow = 4 * time.Second
	defaultMaxPayload = 1 << 20
	// maxPayload keeps a message well under maxPending.
	maxPayload = 8 << 20
	// maxPending is how many bytes may wait for an in-process connection before the server cuts it.
	maxPending = 64 << 20
	// minPing is the least interval of route pings.
	minPing = 5 * time.Second
	// maxPing is the greatest interval the server accepts for routes; it cuts silently, so count more pings instead.
	maxPing = 30 * time.Second
	// connectRetries is how often an address learned from others is dialled again, after 1 s and then 2 s. The owner of the
	// broker knows better who should be there, and says so with SetRoutes; this only bridges short breaks, and soon leaves
	// nodes alone that came for one question.
	connectRetries = 2
	// handshakeTimeout bounds a TLS handshake. Where fifty nodes start at once on two processors one can take seconds, and
	// to give it up then is to do it all again.
	handshakeTimeout = 20 * time.Second
)

// withDefaults checks the configuration and fills in what was left zero.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Mesh == "" || strings.ContainsAny(c.Mesh, " \t\r\n"):
		return c, fmt.Errorf("%w: mesh name %q", ErrBadConfig, c.Mesh)
	case c.ServerName == "" || strings.ContainsAny(c.ServerName, " \t\r\n"):
		return c, fmt.Errorf("%w: server name %q", ErrBadConfig, c.ServerName)
	case c.MaxPayload < 0 || c.MaxPayload > maxPayload:
		return c, fmt.Errorf("%w: payload limit of %d bytes is over %d", ErrBadConfig, c.MaxPayload, maxPayload)
	case c.checkMode() != nil:
		return c, c.checkMode()
	case c.checkLeafListen() != nil:
		return c, c.checkLeafListen()
	case c.Store.check(c.ServerName) != nil:
		return c, c.Store.check(c.ServerName)
	case c.Clients.check() != nil:
		return c, c.Clients.check()
	case c.TickWindow < 0:
		return c, fmt.Errorf("%w: tick window %v", ErrBadConfig, c.TickWindow)
	}
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.TickWindow == 0 {
		c.TickWindow = defaultTickWindow
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = defaultMaxPayload
	}
	if c.Advertise != "" {
		if _, err := routeURL(c.Advertise); err != nil {
			return c, err
		}
	}
	return c, nil
}

// listenAddr is a parsed Config.Listen.
type listenAddr struct {
	host     string
	from, to int // 0 for any free port
}

func parseListen(s string) (listenAddr, error) {
	host, ports, err := net.SplitHostPort(s)
	if err != nil {
		return listenAddr{}, fmt.Errorf("%w: listen address %q: want HOST:PORT or HOST:FROM-TO", ErrBadConfig, s)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	switch {
	case err1 != nil || err2 != nil || from > to || isRange && from == 0:
		return listenAddr{}, fmt.Errorf("%w: listen address %q: bad port", ErrBadConfig, s)
	case to-from >= address.MaxPorts:
		return listenAddr{}, fmt.Errorf("%w: listen address %q: more than %d ports", ErrBadConfig, s, address.MaxPorts)
	}
	return listenAddr{host: host, from: int(from), to: int(to)}, nil
}

// isLoopback reports whether only this host can reach the address.
func (a listenAddr) isLoopback() bool {
	if a.host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsLoopback()
}

// CheckAddr reports whether SetRoutes takes an address. Errors: ErrBadConfig.
func CheckAddr(addr string) error {
	_, err := routeURL(addr)
	return err
}

// routeURL makes the server's form of HOST:PORT.
func routeURL(addr string) (*url.URL, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return nil, fmt.Errorf("%w: address %q: want HOST:PORT", ErrBadConfig, addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("%w: address %q: bad port", ErrBadConfig, addr)
	}
	escaped := addr
	if strings.HasPrefix(addr, "[") {
		escaped = strings.Replace(addr, "%", "%25", 1) // before a zone, as in [fe80::1%eth0]:7000
	}
	u, err := url.Parse("nats-route://" + escaped)
	if err != nil {
		return nil, fmt.Errorf("%w: address %q", ErrBadConfig, addr)
	}
	return u, nil
}

// serverOptions builds the embedded server's options from scratch. The server keeps and changes what it is given, so
// every start and every reload needs a fresh one, equal to the first in all but the routes.
func (b *Broker) serverOptions(port int, routes []seed) (*server.Options, error) {
	if port == 0 {
		port = -1 // zero would turn clustering off
	}
	ping, pings, writeDeadline := routeTimeouts(b.cfg.TickWindow)
	app, ctl, sys := server.NewAccount(string(App)), server.NewAccount(string(Control)), server.NewAccount(systemAccount)
	store, err := storeAccount(sys)
	if err != nil {
		return nil, err
	}
	outside := server.NewAccount(string(Outside))
	o := &server.Options{
		ServerName:    b.cfg.ServerName,
		Host:          "127.0.0.1",
		Port:          -1, // the server cannot cluster without a client listener; nobody is admitted on it
		NoSigs:        true,
		NoLog:         true,
		MaxPayload:    int32(b.cfg.MaxPayload),
		MaxPending:    maxPending,
		Accounts:      []*server.Account{app, ctl, store, outside, sys},
		Users:         b.accountUsers(app, ctl, store, outside),
		SystemAccount: systemAccount,
		Routes:        seedURLs(routes),
		Cluster: server.ClusterOpts{
			Name:           b.cfg.Mesh,
			Host:           b.listen.host,
			Port:           port,
			Advertise:      b.cfg.Advertise,
			NoAdvertise:    true,
			PoolSize:       1,
			PinnedAccounts: []string{string(Control)}, // App has the pool of one to itself, so each has its own
			ConnectRetries: connectRetries,
			ConnectBackoff: true,
			Compression:    server.CompressionOpts{Mode: server.CompressionOff},
			PingInterval:   ping,
			MaxPingsOut:    pings,
			WriteDeadline:  writeDeadline,
			TLSConfig:      b.tls,
			TLSTimeout:     handshakeTimeout.Seconds(),
		},
	}
	b.applyStore(o)
	if b.leafAtAnEnd() {
		// Otherwise the account's interface to the stores is closed to leaf connections, as another JetStream's.
		o.JsAccDefaultDomain = map[string]string{string(Store): ""}
	}
	if b.cfg.Mode == Leaf {
		err = b.applyLeafRemotes(o)
	} else {
		err = b.applyLeafPort(o, map[Account]*server.Account{App: app, Control: ctl, Store: store})
	}
	if err != nil {
		return nil, err
	}
	if err := b.applyClients(o, outside); err != nil {
		return nil, err
	}
	return o, nil
}

// user admits in-process connections, and no others, to the account.
func (b *Broker) user(account *server.Account) *server.User {
	return &server.User{
		Username:               account.Name,
		Password:               b.secret,
		Account:                account,
		AllowedConnectionTypes: map[string]struct{}{"IN_PROCESS": {}},
	}
}

// routeTimeouts returns the interval of route pings, how many may be unanswered, and the write deadline of routes. All
// are slower than the tick window: a silent peer is the ticks' to find, and a route must not end first and pass for one
// that the peer closed (decision 9). A route is given up between 2 and 3 intervals after the peer fell silent.
func routeTimeouts(window time.Duration) (ping time.Duration, pings int, writeDeadline time.Duration) {
	ping, pings = max(window, minPing), 2
	if ping > maxPing {
		pings = int(ping/maxPing) + 2
		ping = maxPing
	}
	return ping, pings, window + max(window/2, 2*time.Second)
}

// startError makes an error of a fatal line of the server. args are the line's arguments.
func startError(text string, args []any) error {
	for _, arg := range args {
		cause, ok := arg.(error)
		switch {
		case !ok:
		case errors.Is(cause, syscall.EADDRINUSE):
			return fmt.Errorf("%w: %w", ErrPortInUse, cause)
		default:
			var op *net.OpError
			if errors.As(cause, &op) {
				return fmt.Errorf("%w: %w", ErrListen, cause)
			}
		}
	}
	return fmt.Errorf("%w: %s", ErrStart, text)
}

// clientOptions are the options of in-process connections, before those of the caller.
func (b *Broker) clientOptions(a Account) []nats.Option {
	return []nats.Option{
		nats.InProcessServer(b.server),
		nats.UserInfo(string(a), b.secret),
		nats.Name(string(a)),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(0, 0), // nobody else competes for this server
		nats.ReconnectBufSize(-1),  // publishing while cut off is an error, not a replay of old heartbeats
		nats.IgnoreDiscoveredServers(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { // the client's own default writes to stderr
			b.cfg.Log.Warn().Err(err).Str("account", string(a)).Msg("an in-process connection reports an error")
		}),
	}
}
