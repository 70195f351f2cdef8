package node

import (
	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// prover signs what opens sessions with the key of the node's certificate, and checks what peers have signed with theirs. It
// takes the certificate of the moment.
type prover struct{ n *Node }

// prover returns the table's, or nil for a node without a certificate.
func (n *Node) prover() membership.Prover {
	if n.cfg.Certificate == nil {
		return nil
	}
	return prover{n}
}

// Prove implements membership.Prover. What cannot be signed, since the key is in some device that fails, is refused by the
// peer for want of a signature.
func (p prover) Prove(c *wire.Control, to membership.ID) {
	sig, chain, err := p.n.secrets.get().Certificate.Prove(c.Signed(p.n.cfg.Mesh, to.Name, to.Incarnation))
	if err != nil {
		p.n.log.Error().Err(err).Msg("cannot sign with the node's certificate")
		return
	}
	c.Sig, c.Chain = sig, chain
}

// Check implements membership.Prover.
func (p prover) Check(c wire.Control) error {
	signed := c.Signed(p.n.cfg.Mesh, p.n.id.Name, p.n.id.Incarnation)
	return p.n.secrets.get().Certificate.CheckProof(c.From.Name, signed, c.Sig, c.Chain)
}
