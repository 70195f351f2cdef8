package discovery

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Maker makes a strategy from a word of --discover: from what stands behind its name and a colon, which may be empty,
// and from the settings behind a question mark. A setting that it does not know is an error; [CheckSettings] finds it.
type Maker func(arg string, settings url.Values) (Strategy, error)

// Options are what [Parse] needs to know beside the words.
type Options struct {
	// DataDir is the folder that the nodes of a host share, for local.
	DataDir string
	// Static are the addresses of the word static without an argument.
	Static []string
	// Extra are strategies of other packages, by their names, such as kubernetes.
	Extra map[string]Maker
}

// Parse makes a strategy of words, as the flag --discover takes them, and merges several with [Merge]:
//
//	local                             the nodes of this host that share the data dir
//	static                            the addresses of Options.Static
//	static:HOST:PORT                  one address; repeat it for more
//	hosts                             a host file in one of its usual places; settings: port, interval
//	hosts:PATH                        that host file
//	gossip                            multicast; settings: ttl, interval, interface (may be repeated)
//	gossip:GROUP:PORT                 another group, such as [ff02::6b68]:45892
//	dns:NAME, dns:NAME:PORT           A and AAAA records; settings: interval
//	dnssrv:NAME                       SRV records; settings: interval
//	none                              nothing
//
// Settings follow a question mark, as in "gossip?ttl=2&interface=eth0", and are encoded as in URLs. No words at all mean
// none. A word that is not understood is an error that wraps [ErrBadConfig] and says what is allowed.
func Parse(words []string, o Options) (Strategy, error) {
	makers := o.makers()
	var list []Strategy
	for _, word := range words {
		s, err := parseWord(word, makers)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return Merge(list...), nil
}

// makers returns the known strategies by name.
func (o Options) makers() map[string]Maker {
	makers := map[string]Maker{
		"local": o.makeLocal, "static": o.makeStatic, "hosts": makeHosts, "gossip": makeGossip, "dns": makeDNS,
		"dnssrv": makeDNSSRV, "none": makeNone,
	}
	maps.Copy(makers, o.Extra)
	return makers
}

func parseWord(word string, makers map[string]Maker) (Strategy, error) {
	body, query, _ := strings.Cut(strings.TrimSpace(word), "?")
	name, arg, _ := strings.Cut(body, ":")
	settings, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrBadConfig, word, err)
	}
	maker := makers[name]
	if maker == nil {
		known := strings.Join(slices.Sorted(maps.Keys(makers)), ", ")
		if name == "kubernetes" {
			return nil, fmt.Errorf("%w: this program was built without kubernetes (build tag kubernetes); it has %s",
				ErrBadConfig, known)
		}
		return nil, fmt.Errorf("%w: no strategy %q; there are %s", ErrBadConfig, name, known)
	}
	s, err := maker(arg, settings)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrBadConfig, word, err)
	}
	return s, nil
}

// CheckSettings returns an error that names the first of settings that is not one of allowed.
func CheckSettings(settings url.Values, allowed ...string) error {
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if slices.Contains(allowed, key) {
			continue
		}
		if len(allowed) == 0 {
			return fmt.Errorf("no setting %q: there are none", key)
		}
		return fmt.Errorf("no setting %q; there are %s", key, strings.Join(allowed, ", "))
	}
	return nil
}

func (o Options) makeLocal(arg string, settings url.Values) (Strategy, error) {
	if arg != "" {
		return nil, fmt.Errorf("local takes no argument")
	}
	return Local(o.DataDir), CheckSettings(settings)
}

func (o Options) makeStatic(arg string, settings url.Values) (Strategy, error) {
	if err := CheckSettings(settings); err != nil {
		return nil, err
	}
	addrs := o.Static
	if arg != "" {
		addrs = []string{arg}
	}
	for _, a := range addrs {
		if err := checkAddr(a); err != nil {
			return nil, err
		}
	}
	return Static(addrs...), nil
}

func makeNone(arg string, settings url.Values) (Strategy, error) {
	if arg != "" {
		return nil, fmt.Errorf("none takes no argument")
	}
	return Merge(), CheckSettings(settings)
}

func makeHosts(arg string, settings url.Values) (Strategy, error) {
	if err := CheckSettings(settings, "port", "interval"); err != nil {
		return nil, err
	}
	cfg := HostsConfig{Path: arg}
	var err error
	if p := settings.Get("port"); p != "" {
		if err := checkPort("port", p); err != nil {
			return nil, err
		}
		cfg.Port, _ = strconv.Atoi(p)
	}
	cfg.Interval, err = intervalSetting(settings)
	return Hosts(cfg), err
}

func makeGossip(arg string, settings url.Values) (Strategy, error) {
	if err := CheckSettings(settings, "ttl", "interval", "interface"); err != nil {
		return nil, err
	}
	cfg := GossipConfig{Group: arg, Interfaces: settings["interface"]}
	if arg != "" {
		if _, err := parseGroup(arg); err != nil {
			return nil, err
		}
	}
	if s := settings.Get("ttl"); s != "" {
		ttl, err := strconv.Atoi(s)
		if err != nil || ttl < 1 || ttl > 255 {
			return nil, fmt.Errorf("ttl %q is not a number from 1 to 255", s)
		}
		cfg.TTL = ttl
	}
	var err error
	cfg.Interval, err = intervalSetting(settings)
	return Gossip(cfg), err
}

func makeDNS(arg string, settings url.Values) (Strategy, error) {
	if err := CheckSettings(settings, "interval"); err != nil {
		return nil, err
	}
	cfg := DNSConfig{Name: arg}
	if strings.Contains(arg, ":") {
		if err := checkAddr(arg); err != nil {
			return nil, err
		}
		host, port, _ := net.SplitHostPort(arg)
		cfg.Name = host
		cfg.Port, _ = strconv.Atoi(port)
	}
	if err := checkHost(cfg.Name); err != nil {
		return nil, err
	}
	var err error
	cfg.Interval, err = intervalSetting(settings)
	return DNS(cfg), err
}

func makeDNSSRV(arg string, settings url.Values) (Strategy, error) {
	if err := CheckSettings(settings, "interval"); err != nil {
		return nil, err
	}
	if err := checkHost(arg); err != nil || strings.Contains(arg, ":") {
		return nil, fmt.Errorf("%q is not the name of SRV records, such as _kith._tcp.example.org", arg)
	}
	interval, err := intervalSetting(settings)
	return DNSSRV(DNSConfig{Name: arg, Interval: interval}), err
}

// minInterval keeps sources from being asked all the time by a slip of the pen.
const minInterval = 100 * time.Millisecond

// intervalSetting reads the setting interval; zero if it is not there.
func intervalSetting(settings url.Values) (time.Duration, error) {
	s := settings.Get("interval")
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < minInterval {
		return 0, fmt.Errorf("interval %q is not a duration of at least %v", s, minInterval)
	}
	return d, nil
}
