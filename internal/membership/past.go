package membership

import "time"

// graves remembers how the last sessions ended, so that a peer that still believes in one can be told.
type graves struct {
	at    map[uint64]grave // by connection id
	order []uint64
}

type grave struct {
	why Why
	end time.Time
}

const maxGraves = 1024

func (g *graves) add(now time.Time, conn uint64, why Why) {
	if conn == 0 {
		return
	}
	g.at[conn] = grave{why, now}
	g.order = append(g.order, conn)
	if len(g.order) > maxGraves {
		delete(g.at, g.order[0])
		g.order = append(g.order[:0], g.order[1:]...)
	}
}

// has says whether the session is known to be over.
func (g *graves) has(conn uint64) bool {
	_, ok := g.at[conn]
	return ok
}

// why is how a session ended; one that is not remembered had its connection closed, as far as anybody can say.
func (g *graves) why(conn uint64) Why {
	if grave, ok := g.at[conn]; ok {
		return grave.why
	}
	return ConnectionClosed
}

// parting says whether a session ended a moment ago by a goodbye in order. That is still on its way, behind frames that
// the peer must have first, so nothing may be said on the control account that would overtake it.
func (g *graves) parting(now time.Time, conn uint64, patience time.Duration) bool {
	grave, ok := g.at[conn]
	return ok && parted(grave.why) && now.Sub(grave.end) < patience
}

// parted says whether a session that ends for this reason ends by a goodbye in order.
func parted(why Why) bool { return why == Disconnect || why == Shutdown }
