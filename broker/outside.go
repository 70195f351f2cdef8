package broker

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
)

// Outside is the account of plain NATS clients, on the port that Config.Clients opens. What the mesh's nodes say to each
// other is in other accounts: clients cannot see it, slow it down in its own connections, or forge it.
const Outside Account = "OUT"

// Clients opens a port for plain NATS clients.
type Clients struct {
	// Listen is HOST:PORT; port 0 is any free one.
	Listen string
	// Users may connect. None is refused: there are no anonymous clients.
	Users []ClientUser
	// TLS, if not nil, is required of clients. It must be set unless Listen is on loopback.
	TLS *tls.Config
}

// ClientUser is who may connect to the port for clients.
type ClientUser struct {
	Name, Password string
	// Publish and Subscribe list the subjects that are allowed, in NATS's form with wildcards. Nil means the usual ones:
	// calls, groups, the questions of service tools, and inboxes. An empty list that is not nil allows none.
	Publish, Subscribe []string
	// DenyPublish and DenySubscribe list subjects that are refused of those that are allowed.
	DenyPublish, DenySubscribe []string
}

// What a client may use if nothing else is said. See docs/wire.md.
var (
	clientPublish   = []string{"kith.fn.>", "kith.broadcast.>", "$SRV.>"}
	clientSubscribe = []string{"kith.group.>", "$SRV.>", "_INBOX.>"}
	// localSubjects stay within one server: a node answers its own clients, and takes what is for another node over its
	// session, where windows hold. So however fast clients are, nothing of theirs fills a route.
	localSubjects = []string{"kith.fn.>", "kith.group.>", "kith.broadcast.>"}
)

const minPassword = 8

// check refuses ports that would be open to anybody.
func (c *Clients) check() error {
	if c == nil {
		return nil
	}
	listen, err := parseListen(c.Listen)
	if err != nil {
		return err
	}
	if listen.from != listen.to {
		return fmt.Errorf("%w: clients need one port, not the range %q", ErrBadConfig, c.Listen)
	}
	if c.TLS == nil && !listen.isLoopback() {
		return fmt.Errorf("%w: %s for clients needs TLS", ErrInsecure, c.Listen)
	}
	if len(c.Users) == 0 {
		return fmt.Errorf("%w: the port for clients has no users", ErrBadConfig)
	}
	seen := map[string]bool{}
	for i, u := range c.Users {
		if seen[u.Name] {
			return fmt.Errorf("%w: client user %q is there twice", ErrBadConfig, u.Name)
		}
		seen[u.Name] = true
		for _, subject := range slices.Concat(u.Publish, u.Subscribe, u.DenyPublish, u.DenySubscribe) {
			if !server.IsValidSubject(subject) {
				return fmt.Errorf("%w: client user %q: %q is no subject", ErrBadConfig, u.Name, subject)
			}
		}
		if u.Name == "" || len(u.Password) < minPassword {
			return fmt.Errorf("%w: client user %d needs a name, and a password of %d characters", ErrBadConfig, i+1, minPassword)
		}
		if slices.Contains([]string{string(App), string(Control), string(Store), string(Outside), systemAccount}, u.Name) {
			return fmt.Errorf("%w: client user %q has the name of an account", ErrBadConfig, u.Name)
		}
	}
	return nil
}

// applyClients opens the port in the server's options.
func (b *Broker) applyClients(o *server.Options, outside *server.Account) error {
	o.Cluster.Permissions = &server.RoutePermissions{
		Import: &server.SubjectPermission{Deny: localSubjects},
		Export: &server.SubjectPermission{Deny: localSubjects},
	}
	c := b.cfg.Clients
	if c == nil {
		return nil
	}
	listen, err := parseListen(c.Listen)
	if err != nil {
		return err
	}
	o.Host, o.Port = listen.host, listen.from
	if b.clientPort != 0 {
		o.Port = b.clientPort
	}
	if o.Port == 0 {
		o.Port = -1
	}
	if c.TLS != nil {
		o.TLSConfig, o.TLS = c.TLS, true
	}
	for _, u := range c.Users {
		o.Users = append(o.Users, &server.User{
			Username: u.Name, Password: u.Password, Account: outside,
			AllowedConnectionTypes: map[string]struct{}{"STANDARD": {}},
			Permissions: &server.Permissions{
				Publish:   subjects(u.Publish, clientPublish, u.DenyPublish),
				Subscribe: subjects(u.Subscribe, clientSubscribe, u.DenySubscribe),
			},
		})
	}
	return nil
}

// subjects are the permissions for allowed and denied subjects. To the server an empty list of allowed ones would mean all.
func subjects(allow, usual, deny []string) *server.SubjectPermission {
	switch {
	case allow == nil:
		allow = usual
	case len(allow) == 0:
		deny = []string{">"}
	}
	return &server.SubjectPermission{Allow: allow, Deny: deny}
}

// ClientAddr returns the HOST:PORT of the port for clients, or "" if there is none.
func (b *Broker) ClientAddr() string {
	if b.cfg.Clients == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(b.cfg.Clients.Listen)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(b.clientPort))
}

// OutsideChanges is how often a subscription of the account of clients was added or removed on this server. It is cheap: a
// change says that OutsideSubjects may have changed.
func (b *Broker) OutsideChanges() uint64 {
	if b.server == nil {
		return 0
	}
	report, err := b.server.Subsz(&server.SubszOptions{Account: string(Outside)})
	if err != nil || report.SublistStats == nil {
		return 0
	}
	return report.NumInserts + report.NumRemoves
}

// MaxOutsideSubjects bounds how many subscriptions of one client OutsideSubjects looks at: the first by name.
const MaxOutsideSubjects = 10_000

// outsideLimit is above what that many clients as a server admits can have together. The server's own limit, which this
// replaces, leaves out whatever comes last in a map.
const outsideLimit = 1 << 30

// OutsideSubjects returns the subjects that clients of this server have subscribed to, without repetitions, sorted; of a
// client with more than MaxOutsideSubjects, that many. It walks all subscriptions of the account: call it when
// OutsideChanges has. Errors: ErrClosed.
func (b *Broker) OutsideSubjects() ([]string, error) {
	if b.isClosed() {
		return nil, ErrClosed
	}
	if b.server == nil {
		return nil, fmt.Errorf("%w: mode %s cannot list what clients have subscribed to", ErrBadConfig, b.cfg.Mode)
	}
	report, err := b.server.Subsz(&server.SubszOptions{Subscriptions: true, Account: string(Outside), Limit: outsideLimit})
	if err != nil {
		return nil, fmt.Errorf("asking for subscriptions: %w", err)
	}
	slices.SortFunc(report.Subs, func(x, y server.SubDetail) int { return cmp.Compare(x.Subject, y.Subject) })
	var subjects []string
	looked := map[uint64]int{} // by client
	for _, s := range report.Subs {
		if looked[s.Cid]++; looked[s.Cid] <= MaxOutsideSubjects {
			subjects = append(subjects, s.Subject)
		}
	}
	return slices.Compact(subjects), nil
}
