package kubernetes

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	v1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kith-mesh/kith/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a strategy that a test runs.
type running struct {
	found chan []discovery.Candidate
	fails chan error
}

func run(t *testing.T, cfg Config, self discovery.Self) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{found: make(chan []discovery.Candidate, 1000), fails: make(chan error, 1000)}
	done := make(chan error, 1)
	strategy := New(cfg)
	strategy.pause = 5 * time.Millisecond
	go func() {
		done <- strategy.Run(ctx, self, func(l []discovery.Candidate) { r.found <- l }, func(err error) { r.fails <- err })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return r
}

// await waits for the list of these addresses, whatever comes before it.
func (r *running) await(t *testing.T, addrs ...string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	var last []string
	for {
		select {
		case list := <-r.found:
			last = nil
			for _, c := range list {
				if c.Source != "kubernetes" {
					t.Errorf("source %q", c.Source)
				}
				last = append(last, c.Addr)
			}
			if slices.Equal(last, addrs) {
				return
			}
		case <-timeout:
			t.Fatalf("no list %v; the last was %v", addrs, last)
		}
	}
}

// awaitFailure waits for a report that contains text.
func (r *running) awaitFailure(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case err := <-r.fails:
			if strings.Contains(err.Error(), text) && strings.HasPrefix(err.Error(), "kubernetes: ") {
				return
			}
			t.Logf("failure: %v", err)
		case <-timeout:
			t.Fatalf("no failure that says %q", text)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// slice makes a slice of the service chat with a port named kith.
func slice(name string, ips ...string) *v1.EndpointSlice {
	s := &v1.EndpointSlice{
		ObjectMeta: meta.ObjectMeta{
			Name: name, Namespace: "prod", Labels: map[string]string{v1.LabelServiceName: "chat", "app": "chat"},
		},
		AddressType: v1.AddressTypeIPv4,
		Ports:       []v1.EndpointPort{{Name: ptr("web"), Port: ptr(int32(80))}, {Name: ptr("kith"), Port: ptr(int32(6000))}},
	}
	for _, ip := range ips {
		s.Endpoints = append(s.Endpoints, v1.Endpoint{Addresses: []string{ip}})
	}
	return s
}

// watching returns a clientset with these objects, and a channel that gets a value when a watch is set up: the
// clientset of client-go loses what changes between a list and the watch after it.
func watching(objects ...runtime.Object) (*fake.Clientset, <-chan bool) {
	set := fake.NewClientset(objects...)
	up := make(chan bool, 100)
	set.PrependWatchReactor("endpointslices", func(a k8stesting.Action) (bool, watch.Interface, error) {
		w, err := set.Tracker().Watch(a.GetResource(), a.GetNamespace())
		up <- true
		return true, w, err
	})
	return set, up
}

func TestStrategy_watch(t *testing.T) {
	set, up := watching(slice("chat-1", "10.0.0.2", "10.0.0.1", "10.0.0.9"))
	self := discovery.Self{Addr: "10.0.0.9:6000"}
	s := run(t, Config{Service: "chat", Namespace: "prod", Client: set.DiscoveryV1()}, self)
	s.await(t, "10.0.0.1:6000", "10.0.0.2:6000")
	<-up
	ctx := context.Background()
	api := set.DiscoveryV1().EndpointSlices("prod")

	if _, err := api.Create(ctx, slice("chat-2", "10.0.0.3"), meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "10.0.0.1:6000", "10.0.0.2:6000", "10.0.0.3:6000")

	// Not ready is good enough; terminating is not.
	changed := slice("chat-1", "10.0.0.1", "10.0.0.2")
	changed.Endpoints[0].Conditions = v1.EndpointConditions{Ready: ptr(false)}
	changed.Endpoints[1].Conditions = v1.EndpointConditions{Ready: ptr(true), Terminating: ptr(true)}
	if _, err := api.Update(ctx, changed, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "10.0.0.1:6000", "10.0.0.3:6000")

	if err := api.Delete(ctx, "chat-1", meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "10.0.0.3:6000")
}

func TestStrategy_poll(t *testing.T) {
	set := fake.NewClientset(slice("chat-1", "10.0.0.1"))
	forbidden := make(chan bool, 1)
	set.PrependReactor("list", "endpointslices", func(k8stesting.Action) (bool, runtime.Object, error) {
		select {
		case <-forbidden:
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "endpointslices"}, "", errors.New("no"))
		default:
			return false, nil, nil
		}
	})
	cfg := Config{Selector: "app=chat", Namespace: "prod", Interval: 5 * time.Millisecond, Client: set.DiscoveryV1()}
	s := run(t, cfg, discovery.Self{})
	s.await(t, "10.0.0.1:6000")
	// "Forbidden" is no empty answer.
	forbidden <- true
	s.awaitFailure(t, `needs the verb "list"`)
	if len(s.found) != 0 {
		t.Errorf("list %v after a failure", <-s.found)
	}
	if _, err := set.DiscoveryV1().EndpointSlices("prod").Create(context.Background(), slice("chat-2", "10.0.0.3"),
		meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "10.0.0.1:6000", "10.0.0.3:6000")
}

func TestStrategy_bad_config(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	api := fake.NewClientset().DiscoveryV1()
	for name, tt := range map[string]struct {
		cfg  Config
		says string
	}{
		"nothing_to_look_for": {Config{Client: api}, "neither"},
		"selector":            {Config{Selector: "a=b=c", Client: api}, "selector"},
		"port":                {Config{Service: "a", Port: 70000, Client: api}, "port"},
		"outside_of_a_pod":    {Config{Service: "a"}, rest.ErrNotInCluster.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			err := New(tt.cfg).Run(context.Background(), discovery.Self{}, func([]discovery.Candidate) {}, func(error) {})
			if !errors.Is(err, discovery.ErrBadConfig) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("err = %v", err)
			}
		})
	}
}

func TestStrategy_namespace(t *testing.T) {
	s := New(Config{})
	s.namespaceFile = t.TempDir() + "/none"
	if got := s.namespace(); got != "default" {
		t.Errorf("outside of a pod: %q", got)
	}
	s.namespaceFile = writeFile(t, "prod\n")
	if got := s.namespace(); got != "prod" {
		t.Errorf("in a pod: %q", got)
	}
	s.cfg.Namespace = "mine"
	if got := s.namespace(); got != "mine" {
		t.Errorf("configured: %q", got)
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		arg, settings string
		want          Config
		says          string
	}{
		"service":       {"chat", "", Config{Service: "chat"}, ""},
		"all":           {"", "selector=a%3Db%2Cc&namespace=n&port=5&interval=1s", Config{Selector: "a=b,c", Namespace: "n", Port: 5, Interval: time.Second}, ""},
		"port_by_name":  {"chat", "port=mesh", Config{Service: "chat", PortName: "mesh"}, ""},
		"nothing":       {"", "", Config{}, "neither"},
		"bad_port":      {"chat", "port=0", Config{}, "port 0"},
		"bad_interval":  {"chat", "interval=1ms", Config{}, "interval"},
		"wrong_setting": {"chat", "select=x", Config{}, "no setting"},
	} {
		t.Run(name, func(t *testing.T) {
			settings, err := url.ParseQuery(tt.settings)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(tt.arg, settings)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Fatalf("err = %v", err)
				}
				return
			}
			if err != nil || s.(*Strategy).cfg != tt.want {
				t.Fatalf("%+v, %v", s, err)
			}
		})
	}
}

func TestPortRule(t *testing.T) {
	port := func(name string, n int32) v1.EndpointPort { return v1.EndpointPort{Name: &name, Port: &n} }
	for name, tt := range map[string]struct {
		rule  portRule
		ports []v1.EndpointPort
		want  int
		says  string
	}{
		"number":          {portRule{number: 7}, []v1.EndpointPort{port("kith", 1)}, 7, ""},
		"default_name":    {portRule{}, []v1.EndpointPort{port("web", 80), port("kith", 6000)}, 6000, ""},
		"given_name":      {portRule{name: "web"}, []v1.EndpointPort{port("web", 80), port("kith", 6000)}, 80, ""},
		"only_one":        {portRule{}, []v1.EndpointPort{port("", 80)}, 80, ""},
		"none":            {portRule{}, nil, discovery.DefaultPort, ""},
		"no_number":       {portRule{}, []v1.EndpointPort{{Name: ptr("all")}}, discovery.DefaultPort, ""},
		"several":         {portRule{}, []v1.EndpointPort{port("a", 1), port("b", 2)}, 0, "say which"},
		"name_not_there":  {portRule{name: "x"}, []v1.EndpointPort{port("a", 1)}, 0, "no port named"},
		"number_too_high": {portRule{name: "x"}, []v1.EndpointPort{port("x", 70000)}, 0, "no port named"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.rule.port(&v1.EndpointSlice{Ports: tt.ports})
			if got != tt.want || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("port %d, %v", got, err)
			}
		})
	}
}
