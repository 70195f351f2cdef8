package discovery

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// HostsConfig says where the host file is. The zero value of each field means its default.
type HostsConfig struct {
	// Path is the host file. The default is the first that is there of HostFilePaths.
	Path string
	// Port is the port of hosts without one. The default is DefaultPort.
	Port int
	// Interval is the pause between two readings, give or take a quarter. The default is DefaultInterval.
	Interval time.Duration
}

// HostsStrategy reports the hosts of a host file. Make one with [Hosts].
type HostsStrategy struct {
	cfg HostsConfig
}

// Hosts is the strategy of a host file, which it reads again and again, so that the file may be changed while nodes
// run. A file that is missing or wrong is reported and keeps the last list. See [ReadHostFile] for the form of the file.
func Hosts(cfg HostsConfig) *HostsStrategy {
	if cfg.Port == 0 {
		cfg.Port = DefaultPort
	}
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	return &HostsStrategy{cfg: cfg}
}

// Name is "hosts".
func (h *HostsStrategy) Name() string { return "hosts" }

// Run reads the file until ctx ends. See [Strategy].
func (h *HostsStrategy) Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error {
	if h.cfg.Port < 1 || h.cfg.Port > 65535 {
		return fmt.Errorf("%w: hosts: port %d is not between 1 and 65535", ErrBadConfig, h.cfg.Port)
	}
	return Poll(h.Name(), h.cfg.Interval, h.read).Run(ctx, self, found, fail)
}

// read turns the file into candidates.
func (h *HostsStrategy) read(context.Context) ([]Candidate, error) {
	var paths []string
	if h.cfg.Path != "" {
		paths = []string{h.cfg.Path}
	}
	hosts, err := ReadHostFile(h.cfg.Port, paths...)
	if err != nil {
		return nil, err
	}
	var list []Candidate
	for _, host := range hosts {
		for _, addr := range host.Addrs() {
			list = append(list, Candidate{Addr: addr, Source: "hosts"})
		}
	}
	return list, nil
}

// worldParallel is how many addresses World tries at once.
const worldParallel = 32

// World tries every address of hosts and returns the names of the nodes that answered, in the order of the hosts, each
// once, the calling node included if it is there and answers. Hosts that do not answer are left out without a word
// (NET-51). probe asks the node at addr for its name, connects to it if that is wanted, and takes as long as it likes
// within ctx; it is called from several goroutines. Where there is no host file, [ReadHostFile] says so with an error,
// and nobody exits (NET-50).
func World(ctx context.Context, hosts []Host, probe func(ctx context.Context, addr string) (string, error)) []string {
	var addrs []string
	for _, h := range hosts {
		addrs = append(addrs, h.Addrs()...)
	}
	names := make([]string, len(addrs))
	slots := make(chan struct{}, worldParallel)
	var wg sync.WaitGroup
	for i, addr := range addrs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			if name, err := probe(ctx, addr); err == nil {
				names[i] = name
			}
		})
	}
	wg.Wait()
	var answered []string
	seen := make(map[string]bool)
	for _, n := range names {
		if n != "" && !seen[n] {
			seen[n] = true
			answered = append(answered, n)
		}
	}
	return answered
}
