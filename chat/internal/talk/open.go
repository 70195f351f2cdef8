package talk

import (
	"maps"
	"slices"
)

// open takes the state of the mesh and enters the first room.
func (t *Talk) open(ev Opened) {
	if t.phase != starting {
		return
	}
	for _, n := range ev.Nodes {
		t.nodes[n] = true
	}
	for name, ids := range ev.Groups {
		set := t.group(name)
		for _, id := range ids {
			set[id] = struct{}{}
		}
	}
	for _, u := range ev.Users {
		t.came(u)
	}
	t.phase = entering
	t.rooms[0].by = t.now.Add(OpenWait)
	t.at(t.rooms[0].by)
	t.do(Join{t.rooms[0].name})
}

// resync takes the state of all groups where changes have been missed: it is as if what differs had happened now.
func (t *Talk) resync(ev Resynced) {
	here := map[ID]bool{}
	for _, u := range ev.Users {
		here[u.ID] = true
	}
	var gone []ID
	for id, p := range t.users {
		if p.here && !here[id] {
			gone = append(gone, id)
		}
	}
	slices.SortFunc(gone, ID.Compare)
	t.went(gone, false)
	for _, u := range ev.Users {
		t.came(u)
		t.learn(u)
	}
	for _, name := range slices.Sorted(maps.Keys(t.groups)) {
		gone := maps.Clone(t.groups[name])
		delete(gone, t.self.ID)
		for _, id := range ev.Groups[name] {
			delete(gone, id)
		}
		left := slices.Collect(maps.Keys(gone))
		slices.SortFunc(left, ID.Compare)
		t.left(name, left, false)
	}
	for _, name := range slices.Sorted(maps.Keys(ev.Groups)) {
		t.joined(name, ev.Groups[name])
	}
}
