package kubernetes

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	client "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"

	"github.com/kith-mesh/kith/discovery"
)

const (
	// DefaultPortName is the name of a service's port that is looked for before all others.
	DefaultPortName = "kith"
	// serviceLabel is the label of a slice that names its service.
	serviceLabel = v1.LabelServiceName
	// namespaceFile is where a pod finds its namespace.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
	// askTimeout is how long a list may take.
	askTimeout = 15 * time.Second
)

// Config says which endpoints are nodes. One of Service and Selector is required; the zero value of each other field
// means its default.
type Config struct {
	// Service is the name of a service, which may be headless. It stands for the selector
	// kubernetes.io/service-name=SERVICE.
	Service string
	// Selector is a label selector for EndpointSlices, which bear the labels of their services. With Service, both must
	// hold.
	Selector string
	// Namespace is where to look. The default is the pod's own namespace, or "default" outside of a pod.
	Namespace string
	// Port is the port at which nodes listen, whatever the service says. The default is the service's port named
	// PortName.
	Port int
	// PortName is the name of the service's port. The default is the one named "kith", else the only port that there is,
	// else discovery.DefaultPort if there is none.
	PortName string
	// Interval is the pause between two questions. The default is to watch instead.
	Interval time.Duration
	// Client reads EndpointSlices, such as clientset.DiscoveryV1(). The default is the API server of the pod, with the
	// pod's service account.
	Client client.EndpointSlicesGetter
}

// Strategy finds the nodes behind a service. Make one with [New].
type Strategy struct {
	cfg Config
	// namespaceFile and pause are replaced by tests.
	namespaceFile string
	pause         time.Duration
}

var _ discovery.Strategy = (*Strategy)(nil)

// New is the strategy of a Kubernetes service. Outside of a pod and without a client, Run returns
// [discovery.ErrBadConfig], as it does for a bad selector or port.
func New(cfg Config) *Strategy {
	return &Strategy{cfg: cfg, namespaceFile: namespaceFile, pause: firstPause}
}

// Name is "kubernetes".
func (s *Strategy) Name() string { return "kubernetes" }

// Run watches, or asks, until ctx ends. See [discovery.Strategy].
func (s *Strategy) Run(ctx context.Context, self discovery.Self, found func([]discovery.Candidate), fail func(error)) error {
	src, err := s.source()
	if err != nil {
		return fmt.Errorf("%w: kubernetes: %w", discovery.ErrBadConfig, err)
	}
	defer src.close()
	if s.cfg.Interval > 0 {
		return discovery.Poll(s.Name(), s.cfg.Interval, src.ask).Run(ctx, self, found, fail)
	}
	w := &watcher{source: src, reporter: discovery.NewReporter(self, found), fail: fail, pause: s.pause}
	w.run(ctx)
	return nil
}

// source is what is asked, and how answers are read.
type source struct {
	api       client.EndpointSliceInterface
	namespace string
	selector  string
	ports     portRule
	close     func()
}

// source checks the configuration and completes it.
func (s *Strategy) source() (*source, error) {
	selector := s.cfg.Selector
	if s.cfg.Service != "" {
		selector = strings.TrimSuffix(serviceLabel+"="+s.cfg.Service+","+selector, ",")
	}
	if selector == "" {
		return nil, fmt.Errorf("neither a service nor a selector")
	}
	if _, err := labels.Parse(selector); err != nil {
		return nil, fmt.Errorf("selector %q: %w", selector, err)
	}
	if s.cfg.Port < 0 || s.cfg.Port > 65535 {
		return nil, fmt.Errorf("port %d is not between 1 and 65535", s.cfg.Port)
	}
	api, done := s.cfg.Client, func() {}
	if api == nil {
		var err error
		if api, done, err = inCluster(); err != nil {
			return nil, err
		}
	}
	ns := s.namespace()
	return &source{
		api: api.EndpointSlices(ns), namespace: ns, selector: selector,
		ports: portRule{number: s.cfg.Port, name: s.cfg.PortName}, close: done,
	}, nil
}

// inCluster returns a client for the API server of the pod, and what to do when it is not needed any more.
func inCluster() (client.EndpointSlicesGetter, func(), error) {
	cfg, err := rest.InClusterConfig()
	if err != nil {
		return nil, nil, err
	}
	cfg.WarningHandler = rest.NoWarnings{} // the default writes to standard error
	web, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, err
	}
	api, err := client.NewForConfigAndClient(cfg, web)
	return api, func() { utilnet.CloseIdleConnectionsFor(web.Transport) }, err
}

// namespace is the configured one, the pod's, or "default".
func (s *Strategy) namespace() string {
	if s.cfg.Namespace != "" {
		return s.cfg.Namespace
	}
	if data, err := os.ReadFile(s.namespaceFile); err == nil {
		if ns := strings.TrimSpace(string(data)); ns != "" {
			return ns
		}
	}
	return "default"
}

// ask lists once.
func (s *source) ask(ctx context.Context) ([]discovery.Candidate, error) {
	list, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	var all []discovery.Candidate
	for i := range list.Items {
		part, err := s.ports.candidates(&list.Items[i])
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// list asks for all slices.
func (s *source) list(ctx context.Context) (*v1.EndpointSliceList, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	list, err := s.api.List(ctx, meta.ListOptions{LabelSelector: s.selector})
	if err != nil {
		return nil, s.explain("list", err)
	}
	return list, nil
}

// explain says what was asked, and what is missing where the server forbids it.
func (s *source) explain(verb string, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%s endpointslices of %q in namespace %s: the service account needs the verb %q on "+
			"endpointslices of discovery.k8s.io: %w", verb, s.selector, s.namespace, verb, err)
	}
	return fmt.Errorf("%s endpointslices of %q in namespace %s: %w", verb, s.selector, s.namespace, err)
}
