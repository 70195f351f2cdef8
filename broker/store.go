package broker

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// Store is the account of JetStream: streams and buckets that live on the mesh's store servers. Every server has the
// account, so that clients anywhere reach them.
const Store Account = "STORE"

// StoreConfig makes a server one of the mesh's stores: a fixed set of 3 or 5 that keep JetStream's data together. The
// others run without JetStream and use it from afar. It is a set that is named once and for all, because servers that
// come and go must not take part in the agreement: two that start empty beside a working three would outvote nobody,
// and still take the whole over.
type StoreConfig struct {
	// Name is this server's name in Nodes. Config.ServerName must be the same: the agreement knows its members by it, so
	// it must not change with a restart.
	Name string
	// Nodes maps the names of all stores, this one included, to their cluster addresses, HOST:PORT. 3 or 5.
	Nodes map[string]string
	// Dir is where this server keeps its data. It must not be shared.
	Dir string
	// MaxBytes bounds the data on disk. Zero: 1 GiB.
	MaxBytes int64
}

const (
	defaultStoreBytes = 1 << 30
	storeMemory       = 64 << 20
	// storePoll is how often a start looks whether the stores have agreed on a leader.
	storePoll = 50 * time.Millisecond
)

// check refuses sets that cannot work, with the reason.
func (s *StoreConfig) check(serverName string) error {
	if s == nil {
		return nil
	}
	if n := len(s.Nodes); n != 3 && n != 5 {
		return fmt.Errorf("%w: %d store nodes: 3 or 5 are needed, since one or two cannot agree once one is gone, and an even number gains nothing", ErrBadConfig, n)
	}
	if _, ok := s.Nodes[s.Name]; !ok {
		return fmt.Errorf("%w: store node %s is not in the list of stores", ErrBadConfig, s.Name)
	}
	if s.Name != serverName {
		return fmt.Errorf("%w: the server of store node %s is named %s", ErrBadConfig, s.Name, serverName)
	}
	if s.Dir == "" {
		return fmt.Errorf("%w: store node %s has no directory", ErrBadConfig, s.Name)
	}
	addrs := map[string]bool{}
	for name, addr := range s.Nodes {
		if _, err := routeURL(addr); err != nil || strings.HasSuffix(addr, ":0") {
			return fmt.Errorf("%w: store node %s needs a fixed address and has %q", ErrBadConfig, name, addr)
		}
		if addrs[addr] {
			return fmt.Errorf("%w: two store nodes have the address %s", ErrBadConfig, addr)
		}
		addrs[addr] = true
	}
	return nil
}

// all lists the addresses of all stores, this one included. They are always dialled, and their number is what the
// agreement starts from: a server that knew fewer could believe that two are the whole. Dialling itself is noticed by the
// server, and dropped.
func (s *StoreConfig) all() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Values(s.Nodes))
}

// jetStreamAPI is where JetStream takes requests; it lives in the system account.
const jetStreamAPI = "$JS.API.>"

// storeAccount makes the account with JetStream allowed in it, and with the way to JetStream's interface: on a server
// that runs none, a reload of the routes would lose the way that the server makes by itself. What allows JetStream is kept
// in a field that only the text of a configuration can set.
func storeAccount(sys *server.Account) (*server.Account, error) {
	store, err := jetStreamAccount()
	if err != nil {
		return nil, err
	}
	if err := sys.AddServiceExport(jetStreamAPI, nil); err != nil {
		return nil, fmt.Errorf("offering the stores' interface: %w", err)
	}
	if err := store.AddServiceImport(sys, jetStreamAPI, jetStreamAPI); err != nil {
		return nil, fmt.Errorf("taking the stores' interface: %w", err)
	}
	// JetStream must see which account asks.
	if err := store.SetServiceImportSharing(sys, jetStreamAPI, true); err != nil {
		return nil, fmt.Errorf("taking the stores' interface: %w", err)
	}
	return store, nil
}

func jetStreamAccount() (*server.Account, error) {
	var opts server.Options
	text := fmt.Sprintf("accounts { %s { jetstream: enabled } }", Store)
	if err := opts.ProcessConfigString(text); err != nil {
		return nil, fmt.Errorf("making the account of the stores: %w", err)
	}
	for _, a := range opts.Accounts {
		if a.Name == string(Store) {
			return a, nil
		}
	}
	return nil, fmt.Errorf("%w: the server made no account %s", ErrStart, Store)
}

// applyStore adds what a store needs to the server's options.
func (b *Broker) applyStore(o *server.Options) {
	s := b.cfg.Store
	if s == nil {
		return
	}
	o.JetStream = true
	o.StoreDir = filepath.Join(s.Dir, "jetstream")
	o.JetStreamMaxMemory = storeMemory
	o.JetStreamMaxStore = s.MaxBytes
	if o.JetStreamMaxStore == 0 {
		o.JetStreamMaxStore = defaultStoreBytes
	}
	o.SyncAlways = true
	o.DisableJetStreamBanner = true
}

// IsStore says whether this server is one of the stores.
func (b *Broker) IsStore() bool { return b.cfg.Store != nil }

// WaitStore blocks until the mesh's stores answer and can place data on a number of them, within ctx: after a start of
// all, that takes some seconds. It works on any server. Errors: ErrClosed, ctx.Err().
func (b *Broker) WaitStore(ctx context.Context) error {
	nc, err := b.Connect(Store)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("the stores' interface: %w", err)
	}
	poll := time.NewTicker(storePoll)
	defer poll.Stop()
	for {
		if b.storeAnswers(ctx, js) {
			return nil
		}
		select {
		case <-poll.C:
		case <-b.stopped:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Broker) storeAnswers(ctx context.Context, js jetstream.JetStream) bool {
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := js.AccountInfo(limited)
	return err == nil
}

// accountUsers are the in-process users, one for each account.
func (b *Broker) accountUsers(accounts ...*server.Account) []*server.User {
	users := make([]*server.User, 0, len(accounts))
	for _, a := range accounts {
		users = append(users, b.user(a))
	}
	return users
}

// knownAccount says whether in-process connections to an account are given out.
func knownAccount(a Account) bool { return a == App || a == Control || a == Store || a == Outside }
