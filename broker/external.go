package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/internal/redact"
)

const (
	// externalWait and externalJitter are the pause before a connection to an external server is tried again: all of its
	// clients lose it at the same moment.
	externalWait   = 100 * time.Millisecond
	externalJitter = 100 * time.Millisecond
	// leastPayload is what an external cluster must let pass: the largest message of a session, with room.
	leastPayload = 256 << 10
	// externalPing finds a connection whose server fell silent; ticks find peers, sooner.
	externalPing = 10 * time.Second
)

// startExternal makes sure that there is a cluster, and that it takes what the mesh sends.
func (b *Broker) startExternal(ctx context.Context) error {
	for i, s := range b.cfg.Servers {
		if !strings.Contains(s, "://") {
			s = "nats://" + s
			b.cfg.Servers[i] = s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return fmt.Errorf("%w: server %q: want a URL such as nats://HOST:PORT or tls://USER:PASSWORD@HOST:PORT", ErrBadConfig,
				redact.URL(s))
		}
	}
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := b.Connect(Control)
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return r.err
		}
		b.link = r.nc
		if most := r.nc.MaxPayload(); most < leastPayload {
			r.nc.Close()
			return fmt.Errorf("%w: %s takes messages of %d bytes; its max_payload must be %d or more", ErrBadConfig,
				r.nc.ConnectedUrlRedacted(), most, leastPayload)
		}
		return nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.nc != nil {
				r.nc.Close()
			}
		}()
		return ctx.Err()
	}
}

// externalOptions are the options of connections to an external cluster, before those of the caller. An account is no
// more than a connection there: subjects keep apart what accounts do elsewhere.
func (b *Broker) externalOptions(a Account) []nats.Option {
	opts := []nats.Option{
		nats.Name(fmt.Sprintf("%s %s", b.cfg.ServerName, a)),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a cluster whose passwords are being changed may refuse several times
		nats.ReconnectWait(externalWait),
		nats.ReconnectJitter(externalJitter, externalJitter),
		nats.ReconnectBufSize(-1), // publishing while cut off is an error, not a replay of old heartbeats
		nats.PingInterval(externalPing),
		nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { // the client's own default writes to stderr
			if warn, leftOut := b.linkErrors.Next(time.Now()); warn {
				b.cfg.Log.Warn().Err(err).Str("account", string(a)).Int("left_out", leftOut).Msg("a connection to the external cluster reports an error")
			}
		}),
	}
	if a == Control {
		wake := func(*nats.Conn) { b.linkChanged("") }
		opts = append(opts, nats.ReconnectHandler(wake),
			nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.linkChanged(fmt.Sprint(err)) }))
	}
	return append(opts, b.cfg.ServerOptions...)
}

// linkChanged wakes whoever looks at Linked.
func (b *Broker) linkChanged(detail string) {
	if b.cfg.OnRoute != nil {
		b.cfg.OnRoute(RouteEvent{Kind: RouteUnknown, Detail: detail})
	}
}

// connected says whether the connection that was made first stands.
func (b *Broker) connected() bool { return b.link != nil && b.link.IsConnected() }

// dialExternal connects to the external cluster.
func (b *Broker) dialExternal(a Account, opts []nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect(strings.Join(b.cfg.Servers, ","), append(b.externalOptions(a), opts...)...)
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return nil, fmt.Errorf("%w: the external cluster refuses the credentials: %w", ErrNoServer, err)
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrNoServer, redacted(b.cfg.Servers), err)
}

// redacted lists servers without their passwords.
func redacted(servers []string) string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = redact.URL(s)
	}
	return strings.Join(list, ", ")
}
