package process

import (
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// registry knows the Go types that may travel between nodes, by name. Readers take no lock.
type registry struct {
	mu  sync.Mutex // serialises writers
	now atomic.Pointer[typeMaps]
}

type typeMaps struct {
	names map[reflect.Type]string
	types map[string]reflect.Type
}

func (g *registry) init() {
	g.now.Store(&typeMaps{names: map[reflect.Type]string{}, types: map[string]reflect.Type{}})
	for _, t := range []reflect.Type{
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](),
		reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[time.Duration](),
		reflect.TypeFor[[]string](), reflect.TypeFor[[]int](), reflect.TypeFor[[]int64](), reflect.TypeFor[[]float64](),
		reflect.TypeFor[map[string]string](), reflect.TypeFor[map[string]int](), reflect.TypeFor[[]PID](),
	} {
		_ = g.add(t.String(), t) // distinct types with distinct names
	}
}

func (g *registry) add(name string, t reflect.Type) error {
	if now := g.now.Load(); now.types[name] == t && now.names[t] == name {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.now.Load()
	if old.types[name] == t && old.names[t] == name {
		return nil
	}
	if name == "" || t == nil || t.Kind() == reflect.Interface {
		return fmt.Errorf("%w: %q for %v", ErrBadName, name, t)
	}
	if have, ok := old.types[name]; ok {
		return fmt.Errorf("%w: %q is %v", ErrTypeTaken, name, have)
	}
	if have, ok := old.names[t]; ok {
		return fmt.Errorf("%w: %v is %q", ErrTypeTaken, t, have)
	}
	names, types := maps.Clone(old.names), maps.Clone(old.types)
	names[t], types[name] = name, t
	g.now.Store(&typeMaps{names: names, types: types})
	return nil
}

// RegisterType gives the Go type T a name under which its values travel between nodes, so that a value sent as T
// arrives as T wherever T has the same name. Register the same names on every node, best right after New; the name
// should say whose it is, such as "chat.Line". T and *T are different types: register what is sent. Registering the
// same pair again does nothing. Errors: ErrTypeTaken, ErrBadName.
//
// The types string, []byte, bool, the numbers, time.Time, time.Duration, PID, nil, []any and map[string]any, and
// slices and maps of the usual basic types, need no registration.
func RegisterType[T any](r *Runtime, name string) error {
	return r.types.add(name, reflect.TypeFor[T]())
}

// WithType is RegisterType as an option of New.
func WithType[T any](name string) Option {
	return func(r *Runtime) error { return RegisterType[T](r, name) }
}

// RegisterOwnName is RegisterType under the type's own full name, such as "github.com/me/shop.Order", unless the type
// has a name already, or needs none: basic types, and interfaces, whose values have types of their own. It is for layers
// that know the types of what they send, so that their users need not register them. Errors: ErrTypeTaken.
func RegisterOwnName[T any](r *Runtime) error { return r.registerOwnName(reflect.TypeFor[T]()) }

func (r *Runtime) registerOwnName(t reflect.Type) error {
	if r.types.now.Load().names[t] != "" || t.Kind() == reflect.Interface || selfEvident[t] {
		return nil
	}
	return r.types.add(ownName(t), t)
}

// selfEvident are the types that CBOR tells apart by itself.
var selfEvident = map[reflect.Type]bool{
	reflect.TypeFor[bool](): true, reflect.TypeFor[string](): true, reflect.TypeFor[[]byte](): true,
	reflect.TypeFor[int64](): true, reflect.TypeFor[float64](): true, reflect.TypeFor[time.Time](): true,
	reflect.TypeFor[PID](): true, reflect.TypeFor[[]any](): true, reflect.TypeFor[map[string]any](): true,
}

// ownName is the name of a type with the path of its package.
func ownName(t reflect.Type) string {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		return t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + ownName(t.Elem())
	case reflect.Slice:
		return "[]" + ownName(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), ownName(t.Elem()))
	case reflect.Map:
		return "map[" + ownName(t.Key()) + "]" + ownName(t.Elem())
	}
	return t.String()
}

// RegisterOwnNameOf is RegisterOwnName for the type of a value. Nil needs no name.
func RegisterOwnNameOf(r *Runtime, v any) error {
	t := reflect.TypeOf(v)
	if t == nil {
		return nil
	}
	return r.registerOwnName(t)
}
