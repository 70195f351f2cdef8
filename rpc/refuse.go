package rpc

import (
	"context"

	"github.com/kith-mesh/kith/node"
)

// maxRefusals bounds how many answers to requests that will not run wait to be sent.
const maxRefusals = 1024

// refusal is such an answer.
type refusal struct {
	to node.ID
	id uint64
	// err is one of the bare sentinels that encodeFailure knows.
	err error
}

// refuse answers a request that will not run. The dispatcher calls it, so it does not wait: it gives up where it would
// have to, for a peer that does not read its answers must not fill our memory with them.
func (s *Server) refuse(p node.Peer, id uint64, err error) {
	select {
	case s.refusals <- refusal{p.ID, id, err}:
	default:
		s.count.lostAnswers.Add(1)
	}
}

// sendRefusals sends what refuse has left, until the node ends: a server that is closed still refuses.
func (s *Server) sendRefusals(ctx context.Context) {
	for {
		select {
		case r := <-s.refusals:
			f := frame{kind: frameFailure, id: r.id}
			f.code, f.payload = encodeFailure(r.err)
			err := s.link.Send(ctx, r.to, node.ProtocolCalls, node.NoWait|node.NoConnect, f.appendHead(nil), f.payload)
			if err != nil {
				s.count.lostAnswers.Add(1)
			}
		case <-ctx.Done():
			return
		}
	}
}
