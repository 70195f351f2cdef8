package pg

import "math"

// entry is one process in a multiset, with how often it is in it.
type entry struct {
	id    uint64
	count uint32
}

// multiset counts processes of one node in one group (PG-03). Most groups have one process per node, so that one
// costs no allocation; the rest moves to crowd. The zero value is empty.
type multiset struct {
	only entry  // the one process, while there is no crowd; count 0 is none
	many *crowd // all of them, once there was more than one
}

// indexFrom is the size at which looking for a process by walking becomes dearer than an index.
const indexFrom = 16

// crowd holds two processes or more. Order is that of joining, as long as nobody has left.
type crowd struct {
	entries []entry
	index   map[uint64]int32 // where an id is in entries; nil below indexFrom
	total   int              // with multiplicity
	pids    pidCache         // the entries as PIDs, for whoever delivers to them again and again
}

// find returns where id is, or -1.
func (c *crowd) find(id uint64) int {
	if c.index != nil {
		if i, ok := c.index[id]; ok {
			return int(i)
		}
		return -1
	}
	for i := range c.entries {
		if c.entries[i].id == id {
			return i
		}
	}
	return -1
}

// grow counts a process n times more, and says how many of these count. No program joins more often than there are numbers,
// but a peer that says so must not bring the count back to none.
func (e *entry) grow(n uint32) uint32 {
	n = min(n, math.MaxUint32-e.count)
	e.count += n
	return n
}

// add puts id in n times more.
func (m *multiset) add(id uint64, n uint32) {
	if n == 0 {
		return
	}
	switch {
	case m.many == nil && m.only.count == 0:
		m.only = entry{id, n}
		return
	case m.many == nil && m.only.id == id:
		m.only.grow(n)
		return
	case m.many == nil:
		m.many = &crowd{entries: append(make([]entry, 0, 2), m.only), total: int(m.only.count)}
		m.only = entry{}
	}
	m.many.add(id, n)
}

func (c *crowd) add(id uint64, n uint32) {
	c.pids.forget()
	if i := c.find(id); i >= 0 {
		c.total += int(c.entries[i].grow(n))
		return
	}
	c.total += int(n)
	c.entries = append(c.entries, entry{id, n})
	switch {
	case c.index != nil:
		c.index[id] = int32(len(c.entries) - 1)
	case len(c.entries) >= indexFrom:
		c.index = make(map[uint64]int32, 2*indexFrom)
		for i, e := range c.entries {
			c.index[e.id] = int32(i)
		}
	}
}

// remove takes id out up to n times and returns how often it did.
func (m *multiset) remove(id uint64, n uint32) uint32 {
	if m.many != nil {
		n = m.many.remove(id, n)
		if len(m.many.entries) == 1 {
			m.only, m.many = m.many.entries[0], nil
		}
		return n
	}
	if m.only.id != id {
		return 0
	}
	n = min(n, m.only.count)
	m.only.count -= n
	return n
}

func (c *crowd) remove(id uint64, n uint32) uint32 {
	i := c.find(id)
	if i < 0 {
		return 0
	}
	c.pids.forget()
	e := &c.entries[i]
	n = min(n, e.count)
	e.count -= n
	c.total -= int(n)
	if e.count == 0 {
		c.drop(i)
	}
	return n
}

// drop removes entries[i] and puts the last one in its place.
func (c *crowd) drop(i int) {
	last := len(c.entries) - 1
	if c.index != nil {
		delete(c.index, c.entries[i].id)
		if i != last {
			c.index[c.entries[last].id] = int32(i)
		}
	}
	c.entries[i] = c.entries[last]
	c.entries = c.entries[:last]
}

// count is how often id is in the set.
func (m *multiset) count(id uint64) uint32 {
	if m.many != nil {
		if i := m.many.find(id); i >= 0 {
			return m.many.entries[i].count
		}
		return 0
	}
	if m.only.id == id {
		return m.only.count
	}
	return 0
}

// total is the size of the set, with multiplicity.
func (m *multiset) total() int {
	if m.many != nil {
		return m.many.total
	}
	return int(m.only.count)
}

// each calls f for every process.
func (m *multiset) each(f func(id uint64, count uint32)) {
	if m.many == nil {
		if m.only.count > 0 {
			f(m.only.id, m.only.count)
		}
		return
	}
	for _, e := range m.many.entries {
		f(e.id, e.count)
	}
}

// at returns the i-th process, counting each as often as it is in the set; 0 <= i < total.
func (m *multiset) at(i int) uint64 {
	if m.many == nil {
		return m.only.id
	}
	if len(m.many.entries) == m.many.total {
		return m.many.entries[i].id
	}
	for _, e := range m.many.entries {
		if i -= int(e.count); i < 0 {
			return e.id
		}
	}
	return 0
}

// appendIDs appends each process as often as it is in the set.
func (m *multiset) appendIDs(ids []uint64) []uint64 {
	m.each(func(id uint64, count uint32) {
		for range count {
			ids = append(ids, id)
		}
	})
	return ids
}
