package benchmark

import (
	"context"
	"encoding/json"
	"io"

	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/crowd"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	procs "github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// site is a node with all its layers.
type site struct {
	job    job
	node   *node.Node
	rt     *procs.Runtime
	groups *pg.Groups
	calls  *rpc.Server
	names  *global.Registry
	raw    *rawSite
	seen   sightings
	sinks  sinks
	load   load
	// audience is the users of the chat on this node, nil for none.
	audience *crowd.Crowd
}

// start starts a node as kith node does.
func (j job) start(ctx context.Context) (*site, error) {
	n, err := node.Start(ctx, node.Config{
		Name: j.Name, Mesh: j.Mesh, Cookie: j.Cookie, Plaintext: j.Plaintext,
		DataDir: j.Dir, Discovery: []discovery.Strategy{discovery.Local(j.Dir)}, Store: j.Store,
	})
	if err != nil {
		return nil, err
	}
	s := &site{job: j, node: n}
	if err := s.equip(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *site) equip() (err error) {
	if s.rt, err = procs.New(s.node, procs.HighWater(-1, nil)); err != nil {
		return err
	}
	if s.groups, err = pg.New(s.rt); err != nil {
		return err
	}
	if s.names, err = global.New(s.rt, global.SeveralNames()); err != nil {
		return err
	}
	if s.calls, err = rpc.New(s.node); err != nil {
		return err
	}
	return s.serve()
}

func (s *site) close() {
	s.disperse()
	s.load.stop()
	s.raw.close()
	_ = s.node.Close()
}

// work is the life of a worker.
func (j job) work(ctx context.Context, out io.Writer) error {
	s, err := j.start(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.node.WaitPeers(ctx, j.Peers); err != nil {
		if ctx.Err() != nil { // it was told to end
			return nil
		}
		return err
	}
	if err := json.NewEncoder(out).Encode(true); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
