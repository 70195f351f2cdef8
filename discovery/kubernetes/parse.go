package kubernetes

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/kith-mesh/kith/discovery"
)

// minInterval keeps the API server from being asked all the time by a slip of the pen.
const minInterval = 100 * time.Millisecond

// Parse is a [discovery.Maker], for discovery.Options.Extra under the name "kubernetes":
//
//	kubernetes:SERVICE                     the endpoints of a service in the pod's own namespace
//	kubernetes?selector=LABELS             those of all services with these labels (a comma is written %2C)
//
// Settings are selector, namespace, port (a number or a name) and interval (to poll instead of watching).
func Parse(arg string, settings url.Values) (discovery.Strategy, error) {
	if err := discovery.CheckSettings(settings, "selector", "namespace", "port", "interval"); err != nil {
		return nil, err
	}
	cfg := Config{Service: arg, Selector: settings.Get("selector"), Namespace: settings.Get("namespace")}
	if p := settings.Get("port"); p != "" {
		n, err := strconv.Atoi(p)
		switch {
		case err != nil:
			cfg.PortName = p
		case n < 1 || n > 65535:
			return nil, fmt.Errorf("port %d is not between 1 and 65535", n)
		default:
			cfg.Port = n
		}
	}
	if s := settings.Get("interval"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < minInterval {
			return nil, fmt.Errorf("interval %q is not a duration of at least %v", s, minInterval)
		}
		cfg.Interval = d
	}
	if cfg.Service == "" && cfg.Selector == "" {
		return nil, fmt.Errorf("neither a service nor a selector")
	}
	return New(cfg), nil
}
