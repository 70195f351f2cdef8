package talk

import (
	"maps"
	"time"
)

// farewell is users that left because their node was lost, shown once the node is said to be down.
type farewell struct {
	by    time.Time
	lines []Line
}

func (t *Talk) nodeUp(name string) {
	if t.nodes[name] {
		return
	}
	t.sayFarewell(name)
	t.nodes[name] = true
	delete(t.goneNodes, name)
	t.rev++
	delete(t.early, name)
	if t.phase >= open {
		t.show(Line{Kind: NodeIsUp, Node: name})
	}
	t.appearFrom(name)
}

// appearFrom shows the users of a node that waited for it.
func (t *Talk) appearFrom(node string) {
	for _, p := range t.people() {
		if p.ID.Node == node {
			t.appear(p)
		}
	}
}

func (t *Talk) nodeDown(name, reason string) {
	if !t.nodes[name] {
		return
	}
	delete(t.nodes, name)
	t.forgetNodes()
	t.goneNodes[name] = NodeView{Name: name, Gone: reason, At: t.now}
	t.rev++
	if t.phase >= open {
		t.show(Line{Kind: NodeIsDown, Node: name, Reason: reason})
	}
	t.sayFarewell(name)
}

// forgetNodes drops the nodes that went long ago. Those who ask for no View have them dropped as well.
func (t *Talk) forgetNodes() {
	maps.DeleteFunc(t.goneNodes, func(_ string, n NodeView) bool { return t.now.Sub(n.At) >= goneLasts })
}

// sayFarewell shows those who left with a node.
func (t *Talk) sayFarewell(node string) {
	if f := t.gone[node]; f != nil {
		delete(t.gone, node)
		for _, l := range f.lines {
			if t.room(l.Room) != nil {
				t.show(l)
			}
		}
	}
}

func (t *Talk) tickNodes() {
	for node, f := range t.gone {
		if t.now.Before(f.by) {
			t.at(f.by)
		} else {
			t.sayFarewell(node)
		}
	}
	for node, until := range t.early {
		if t.now.Before(until) {
			t.at(until)
			continue
		}
		t.appearFrom(node)
		delete(t.early, node)
	}
}
