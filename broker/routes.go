package broker

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"
)

// Route is what stands between this server and one other: one TCP connection per account.
type Route struct {
	// ServerName and ServerID are the peer's. The id is new at every start.
	ServerName, ServerID string
	// Addr is the IP:port at the other end: the peer's listener if Solicited, else any port of the peer's.
	Addr string
	// Accounts lists the accounts of ours that are connected, sorted. Traffic flows when both are.
	Accounts []Account
	// RTT is the last round trip measured by the server's own pings; zero before the first.
	RTT time.Duration
	// Pending is how many bytes wait to be written to the peer.
	Pending int
	// Solicited says that this side dialled.
	Solicited bool
}

// Routes returns the servers this one is linked to, one entry each, sorted by name. It takes the server's lock: call it
// when something changed and not in a loop. Errors: ErrClosed.
func (b *Broker) Routes() ([]Route, error) {
	if b.isClosed() {
		return nil, ErrClosed
	}
	report, err := b.server.Routez(nil)
	if err != nil {
		return nil, fmt.Errorf("asking for routes: %w", err)
	}
	byID := make(map[string]*Route)
	for _, info := range report.Routes {
		r := byID[info.RemoteID]
		if r == nil {
			r = &Route{ServerName: info.RemoteName, ServerID: info.RemoteID}
			byID[info.RemoteID] = r
		}
		if a := Account(info.Account); a == App || a == Control {
			r.Accounts = append(r.Accounts, a)
		}
		if r.Addr == "" || info.DidSolicit && !r.Solicited {
			r.Addr = net.JoinHostPort(info.IP, strconv.Itoa(info.Port))
		}
		if rtt, err := time.ParseDuration(info.RTT); err == nil && rtt > r.RTT {
			r.RTT = rtt
		}
		r.Pending += info.Pending
		r.Solicited = r.Solicited || info.DidSolicit
	}
	routes := make([]Route, 0, len(byID))
	for _, r := range byID {
		slices.Sort(r.Accounts)
		routes = append(routes, *r)
	}
	slices.SortFunc(routes, func(x, y Route) int {
		return cmp.Or(cmp.Compare(x.ServerName, y.ServerName), cmp.Compare(x.ServerID, y.ServerID))
	})
	return routes, nil
}

// NumRemotes returns to how many servers this one has the connection that carries no account of ours. That one can come
// a few milliseconds before or after those of App and Control: it is a cheap hint, and Routes is the truth.
func (b *Broker) NumRemotes() int { return b.server.NumRemotes() }

// SetRoutes replaces the addresses that this server dials until they answer, each HOST:PORT. New ones are dialled at
// once; one that does not answer is tried again after 1 s, then 2 s, up to 30 s. An address that is dropped from the
// list is no longer dialled, and *a route that stands on it is closed*: keep the addresses of linked peers in the list. A
// connection that is just being made to a dropped address may still come up, and stays.
// A list equal to the last does nothing. Calls wait for each other. Errors: ErrBadConfig (nothing changes), ErrClosed.
func (b *Broker) SetRoutes(addrs []string) error {
	b.reload.Lock()
	defer b.reload.Unlock()
	return b.setRoutes(addrs)
}

// Redial dials addresses of the list again now, without waiting for their turn. Routes that stand on them are closed
// first, so it is for those that have none; addresses not in the list are ignored. Errors: ErrBadConfig, ErrClosed.
func (b *Broker) Redial(addrs ...string) error {
	b.reload.Lock()
	defer b.reload.Unlock()
	all := b.routes
	rest := slices.DeleteFunc(slices.Clone(all), func(a string) bool { return slices.Contains(addrs, a) })
	if err := b.setRoutes(rest); err != nil {
		return err
	}
	return b.setRoutes(all)
}

func (b *Broker) setRoutes(addrs []string) error {
	if b.isClosed() {
		return ErrClosed
	}
	urls, err := routeURLs(addrs)
	if err != nil {
		return err
	}
	if slices.Equal(addrs, b.routes) {
		return nil
	}
	if err := b.server.ReloadOptions(b.serverOptions(b.port, urls)); err != nil {
		if b.isClosed() {
			return ErrClosed
		}
		return fmt.Errorf("changing routes: %w", err)
	}
	b.routes = slices.Clone(addrs)
	return nil
}
