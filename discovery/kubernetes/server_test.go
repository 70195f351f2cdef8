package kubernetes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"

	"github.com/kith-mesh/kith/discovery"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// apiServer answers as the API server of Kubernetes does. A test takes each request from the channel and answers it.
type apiServer struct {
	requests chan *request
	quit     chan struct{}
}

// request is one that waits for its answer.
type request struct {
	*http.Request
	w    http.ResponseWriter
	done chan struct{}
}

// newAPIServer starts a server and returns a real client for it. It ends after the strategies of the test.
func newAPIServer(t *testing.T) (*apiServer, client.EndpointSlicesGetter) {
	t.Helper()
	s := &apiServer{requests: make(chan *request), quit: make(chan struct{})}
	web := httptest.NewServer(s)
	t.Cleanup(func() { close(s.quit); web.Close() })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := &rest.Config{Host: web.URL, QPS: -1}
	api, err := client.NewForConfigAndClient(cfg, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return s, api
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r, w: w, done: make(chan struct{})}
	select {
	case s.requests <- req:
	case <-r.Context().Done():
		return
	case <-s.quit:
		return
	}
	// Not when the client goes: the test may be writing.
	select {
	case <-req.done:
	case <-s.quit:
	}
}

// next takes the next request, which must be a watch or a list.
func (s *apiServer) next(t *testing.T, watch bool) *request {
	t.Helper()
	var r *request
	select {
	case r = <-s.requests:
	case <-time.After(20 * time.Second):
		t.Fatalf("no request, want watch=%v", watch)
	}
	if got := r.FormValue("watch") != ""; got != watch {
		t.Fatalf("request %s, want watch=%v", r.URL, watch)
	}
	if r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices" ||
		r.FormValue("labelSelector") != "kubernetes.io/service-name=chat,tier=x" {
		t.Errorf("request %s", r.URL)
	}
	return r
}

// send writes an object as JSON, for a watch one of several.
func (r *request) send(t *testing.T, status int, v any) {
	t.Helper()
	r.w.Header().Set("Content-Type", "application/json")
	if status != 0 {
		r.w.WriteHeader(status)
	}
	if err := json.NewEncoder(r.w).Encode(v); err != nil {
		t.Error(err)
	}
	r.w.(http.Flusher).Flush()
}

func (r *request) end() { close(r.done) }

// list answers a list with these slices, as of version.
func (r *request) list(t *testing.T, version string, items ...*v1.EndpointSlice) {
	t.Helper()
	l := v1.EndpointSliceList{
		TypeMeta: meta.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"},
		ListMeta: meta.ListMeta{ResourceVersion: version},
	}
	for _, s := range items {
		l.Items = append(l.Items, *s)
	}
	r.send(t, http.StatusOK, l)
	r.end()
}

// event sends an event of a watch.
func (r *request) event(t *testing.T, kind string, object any) {
	t.Helper()
	if s, ok := object.(*v1.EndpointSlice); ok {
		s.TypeMeta = meta.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	}
	r.send(t, 0, map[string]any{"type": kind, "object": object})
}

// status is an error of the API.
func status(code int32, reason meta.StatusReason) meta.Status {
	return meta.Status{
		TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   meta.StatusFailure, Code: code, Reason: reason, Message: "says the server",
	}
}

// TestServer_life goes through what an API server does over time: a list and a watch, events, an end of the watch, an
// expired version, a refusal, a failure, and a cut connection. The last list stays all the time.
func TestServer_life(t *testing.T) {
	server, api := newAPIServer(t)
	s := run(t, Config{Service: "chat", Selector: "tier=x", Namespace: "prod", Client: api}, discovery.Self{})

	r := server.next(t, false)
	r.send(t, http.StatusForbidden, status(403, meta.StatusReasonForbidden))
	r.end()
	s.awaitFailure(t, `needs the verb "list"`)
	s.await(t) // an empty list, so that nobody waits for one

	server.next(t, false).list(t, "100", slice("chat-1", "10.0.0.1"))
	s.await(t, "10.0.0.1:6000")
	w := server.next(t, true)
	if w.FormValue("resourceVersion") != "100" || w.FormValue("timeoutSeconds") == "" {
		t.Errorf("watch %s", w.URL)
	}
	w.event(t, "ADDED", slice("chat-2", "10.0.0.2"))
	s.await(t, "10.0.0.1:6000", "10.0.0.2:6000")
	w.event(t, "BOOKMARK", slice("", "10.0.0.66"))
	w.event(t, "MODIFIED", slice("chat-1", "10.0.0.3"))
	s.await(t, "10.0.0.2:6000", "10.0.0.3:6000")
	w.event(t, "DELETED", slice("chat-1", "10.0.0.3"))
	s.await(t, "10.0.0.2:6000")
	w.end() // as servers end watches: list again, without a word

	server.next(t, false).list(t, "200", slice("chat-2", "10.0.0.2"))
	w = server.next(t, true)
	w.event(t, "ERROR", status(410, meta.StatusReasonExpired)) // too old: the same
	server.next(t, false).list(t, "300", slice("chat-2", "10.0.0.2"))
	w.end()
	w = server.next(t, true)
	if len(s.fails) != 0 || len(s.found) != 0 {
		t.Errorf("%d failures, %d lists", len(s.fails), len(s.found))
	}
	w.send(t, http.StatusForbidden, status(403, meta.StatusReasonForbidden))
	w.end()
	s.awaitFailure(t, `needs the verb "watch"`)

	r = server.next(t, false)
	r.send(t, http.StatusInternalServerError, status(500, meta.StatusReasonInternalError))
	r.end()
	s.awaitFailure(t, "says the server")
	if len(s.found) != 0 {
		t.Errorf("list %v after failures", <-s.found)
	}
	server.next(t, false).list(t, "400", slice("chat-2", "10.0.0.4"))
	s.await(t, "10.0.0.4:6000")
}

// TestServer_unusable_slice: a slice without the port is reported once, and the last list stays until it is mended.
func TestServer_unusable_slice(t *testing.T) {
	server, api := newAPIServer(t)
	cfg := Config{Service: "chat", Selector: "tier=x", Namespace: "prod", PortName: "kith", Client: api}
	s := run(t, cfg, discovery.Self{})
	server.next(t, false).list(t, "1", slice("chat-1", "10.0.0.1"))
	s.await(t, "10.0.0.1:6000")
	w := server.next(t, true)
	broken := slice("chat-2", "10.0.0.2")
	broken.Ports = broken.Ports[:1]
	w.event(t, "ADDED", broken)
	s.awaitFailure(t, `no port named "kith"`)
	w.event(t, "MODIFIED", broken)
	w.event(t, "MODIFIED", slice("chat-2", "10.0.0.2"))
	s.await(t, "10.0.0.1:6000", "10.0.0.2:6000")
	if len(s.fails) != 0 {
		t.Errorf("reported again: %v", <-s.fails)
	}
}
