package supervisor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Tree is a supervisor with all that is below it.
type Tree struct {
	// Info describes the supervisor or child. The root has no ID and no uptime.
	Info
	// Strategy counts for supervisors.
	Strategy Strategy
	// Children are those of a supervisor, in order.
	Children []Tree
	// Err is why a nested supervisor could not be asked.
	Err error
}

// Tree asks the supervisor, and those below it, for their children.
func (s *Supervisor) Tree(ctx context.Context) (Tree, error) {
	t := Tree{Info: Info{PID: s.pid, Supervisor: true}}
	err := s.grow(ctx, &t)
	return t, err
}

func (s *Supervisor) grow(ctx context.Context, t *Tree) error {
	v, err := s.view(ctx)
	if err != nil {
		return err
	}
	t.Strategy = v.Strategy
	for _, info := range v.Children {
		below := Tree{Info: info}
		if info.Supervisor && !info.PID.IsZero() {
			below.Err = At(s.rt, info.PID).grow(ctx, &below)
		}
		t.Children = append(t.Children, below)
	}
	return nil
}

// String draws the tree, one line for each child: id, strategy or restart type, PID, restarts.
func (t Tree) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "supervisor %s %v\n", t.Strategy, t.PID)
	t.draw(&b, "")
	return b.String()
}

func (t Tree) draw(b *strings.Builder, indent string) {
	for i, c := range t.Children {
		branch, deeper := "├─ ", "│  "
		if i == len(t.Children)-1 {
			branch, deeper = "└─ ", "   "
		}
		fmt.Fprintf(b, "%s%s%s %s", indent, branch, c.ID, c.Restart)
		if c.Supervisor {
			fmt.Fprintf(b, " supervisor %s", c.Strategy)
		}
		switch {
		case c.Waiting:
			b.WriteString(" waiting")
		case c.PID.IsZero():
			b.WriteString(" stopped")
		default:
			fmt.Fprintf(b, " %v up %v", c.PID, c.Uptime.Round(time.Second))
		}
		if c.Restarts > 0 {
			fmt.Fprintf(b, " restarted %d times", c.Restarts)
		}
		if c.Err != nil {
			fmt.Fprintf(b, " (%v)", c.Err)
		}
		b.WriteByte('\n')
		c.draw(b, indent+deeper)
	}
}
