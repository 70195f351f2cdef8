package genserver_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// Deposit is answered with the new balance.
type Deposit struct {
	genserver.Returns[int]
	Amount int
}

// Withdraw is answered with the new balance, or ErrPoor.
type Withdraw struct {
	genserver.Returns[int]
	Amount int
}

// ErrPoor keeps its identity at home only; on another node its text arrives.
var ErrPoor = errors.New("not enough money")

// account is the state of a server.
type account struct{ balance int }

func (a *account) deposit(_ *genserver.Self, r Deposit) (int, error) {
	a.balance += r.Amount
	return a.balance, nil
}

func (a *account) withdraw(_ *genserver.Self, r Withdraw) (int, error) {
	if r.Amount > a.balance {
		return 0, ErrPoor
	}
	a.balance -= r.Amount
	return a.balance, nil
}

func Example() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Name: "bank@127.0.0.1", Cookie: []byte("a secret of sixteen bytes or more")})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	rt, err := process.New(n)
	if err != nil {
		log.Fatal(err)
	}

	accounts := &genserver.Server[*account]{
		Init: func(*genserver.Self) (*account, error) { return &account{}, nil },
		Handlers: []genserver.Handler[*account]{
			genserver.OnCall((*account).deposit),
			genserver.OnCall((*account).withdraw),
		},
	}
	alice, err := accounts.Start(ctx, rt)
	if err != nil {
		log.Fatal(err)
	}
	balance, err := genserver.Call(ctx, rt, alice, Deposit{Amount: 100})
	fmt.Println(balance, err)
	_, err = genserver.Call(ctx, rt, alice, Withdraw{Amount: 500})
	fmt.Println(err)
	fmt.Println(genserver.Stop(ctx, rt, alice, nil))
	_, err = genserver.Call(ctx, rt, alice, Deposit{Amount: 1})
	fmt.Println(errors.Is(err, process.ErrNoProcess))
	// Output:
	// 100 <nil>
	// not enough money
	// <nil>
	// true
}
