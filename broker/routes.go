package broker

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
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
	// Since is when the younger of their connections was made.
	Since time.Time
	// RTT is the last round trip measured by the server's own pings; zero before the first.
	RTT time.Duration
	// Pending is how many bytes wait to be written to the peer.
	Pending int
	// Solicited says that this side dialled.
	Solicited bool
}

// poolAccount is what the server calls the account of the connection for all accounts without one of their own. Only App
// is such, which gives it that connection to itself.
const poolAccount = ""

// Routes returns the servers this one is linked to, one entry each, sorted by name. It takes the server's lock: call it
// when something changed and not in a loop. Errors: ErrClosed.
func (b *Broker) Routes() ([]Route, error) {
	if b.isClosed() {
		return nil, ErrClosed
	}
	if !b.Routed() {
		return nil, nil
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
		switch info.Account {
		case poolAccount:
			r.Accounts = append(r.Accounts, App)
		case string(Control):
			r.Accounts = append(r.Accounts, Control)
		}
		if info.Start.After(r.Since) {
			r.Since = info.Start
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

// NumRemotes returns to how many servers this one has the connection of App. Control's can come a few milliseconds
// before or after: it is a cheap hint, and Routes is the truth.
func (b *Broker) NumRemotes() int {
	if !b.Routed() {
		return 0
	}
	return b.server.NumRemotes()
}

// SetRoutes replaces the addresses that this server dials until they answer, each HOST:PORT. New ones are dialled at
// once; one that does not answer is tried again after 1 s, then 2 s, up to 30 s. An address that is dropped from the
// list is no longer dialled, and *a route made by dialling it from this list is closed*: keep the addresses of linked
// peers in the list. A connection that is just being made to a dropped address may still come up, and stays.
//
// A list with the same addresses as the last does nothing. Calls wait for each other. Errors: ErrBadConfig (nothing
// changes), ErrClosed.
func (b *Broker) SetRoutes(addrs []string) error {
	b.reload.Lock()
	defer b.reload.Unlock()
	return b.setSeeds(addrs, nil)
}

// Redial dials addresses of the list again now, without waiting for their turn. A route made by dialling one from the
// list is closed first, so it is for those that have none; addresses not in the list are ignored. Errors: ErrClosed.
func (b *Broker) Redial(addrs ...string) error {
	b.reload.Lock()
	defer b.reload.Unlock()
	list := make([]string, len(b.seeds))
	for i, s := range b.seeds {
		list[i] = s.addr
	}
	return b.setSeeds(list, addrs)
}

// setSeeds makes addrs the list, and starts those in afresh anew. The caller holds b.reload.
func (b *Broker) setSeeds(addrs, afresh []string) error {
	if b.isClosed() {
		return ErrClosed
	}
	if !b.Routed() {
		return fmt.Errorf("%w: mode %s has no routes", ErrBadConfig, b.cfg.Mode)
	}
	seeds, err := b.nextSeeds(addrs, afresh)
	if err != nil {
		return err
	}
	if sameSeeds(seeds, b.seeds) {
		return nil
	}
	options, err := b.serverOptions(b.port, seeds)
	if err != nil {
		return err
	}
	if err := b.server.ReloadOptions(options); err != nil {
		if b.isClosed() {
			return ErrClosed
		}
		return fmt.Errorf("changing routes: %w", err)
	}
	b.seeds = seeds
	return nil
}

// seed is an address of the list. Its URL ends in a serial number that the server ignores, except that it tells one
// listing of an address from the next: an attempt that waits for its next turn gives up when its very URL is gone, so
// an address that was dropped and listed again is dialled by one loop and not by two.
type seed struct {
	addr string
	url  *url.URL
}

// nextSeeds returns the seeds for addrs, without repetitions: those of now where they stay, new ones for what is new or
// to start afresh. The caller holds b.reload, or is alone.
func (b *Broker) nextSeeds(addrs, afresh []string) ([]seed, error) {
	addrs = append(slices.Clone(addrs), b.cfg.Store.all()...)
	next := make([]seed, 0, len(addrs))
	for _, addr := range addrs {
		same := func(s seed) bool { return s.addr == addr }
		if slices.ContainsFunc(next, same) {
			continue
		}
		if i := slices.IndexFunc(b.seeds, same); i >= 0 && !slices.Contains(afresh, addr) {
			next = append(next, b.seeds[i])
			continue
		}
		u, err := routeURL(addr)
		if err != nil {
			return nil, err
		}
		b.serials++
		u.Path = "/" + strconv.Itoa(b.serials)
		next = append(next, seed{addr, u})
	}
	return next, nil
}

func sameSeeds(x, y []seed) bool {
	return len(x) == len(y) && !slices.ContainsFunc(x, func(s seed) bool { return !slices.Contains(y, s) })
}

// seedURLs copies the URLs, since the server keeps what it is given. They are sorted, or else the server would sort its own
// at the first reload, in place, while it dials by that list.
func seedURLs(seeds []seed) []*url.URL {
	urls := make([]*url.URL, len(seeds))
	for i, s := range seeds {
		u := *s.url
		urls[i] = &u
	}
	slices.SortFunc(urls, func(x, y *url.URL) int { return cmp.Compare(x.String(), y.String()) })
	return urls
}
