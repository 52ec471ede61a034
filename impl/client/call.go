package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/rpc"
)

// holdTimeout is how long a request is tried until a server answers it (Consul:
// limits.rpc_hold_timeout). A server holds a request as long while there is no
// leader.
const holdTimeout = 7 * time.Second

// readPatience is how long a server may take for a read, apart from the time for
// which the read asks it to wait: it waits for a leader, and for the leader.
const readPatience = holdTimeout + 8*time.Second

// Consul's texts.
const (
	textNoServers = "No known Consul servers"
	textTooMany   = "RPC rate limit exceeded"
)

// write brings a request that changes something to a server. It is sent to
// another one only if the first surely did not get it.
func write[Answer any](ctx context.Context, k *Client, method string, request any) (Answer, error) {
	return try[Answer](ctx, k, method, request, k.config.RPC.Timeout, func() {}, func(kind fault.Kind) bool { return kind == fault.Unavailable })
}

// read brings a request that changes nothing to a server, and to another one if
// no answer comes. Its options are a part of the request.
func read[Answer any](ctx context.Context, k *Client, method string, o *api.QueryOptions, request any) (Answer, error) {
	patience := readPatience
	if t := k.config.RPC.Timeout; t > 0 {
		patience = min(patience, t)
	}
	renew := func() {}
	if o.MinQueryIndex > 0 {
		wait := k.config.Query.Wait(o.MaxQueryTime)
		until := time.Now().Add(wait)
		patience += wait + wait/16
		renew = func() { o.WaitUntil(until) }
	}
	return try[Answer](ctx, k, method, request, patience, renew, func(kind fault.Kind) bool {
		return kind == fault.Unavailable || kind == fault.Unknown
	})
}

// try asks one server after the other. The time to find one that answers begins
// with the first failure, since a blocking query may have waited long before; renew has
// it wait for what is left of its time.
func try[Answer any](ctx context.Context, k *Client, method string, request any, patience time.Duration, renew func(), again func(fault.Kind) bool) (Answer, error) {
	if !k.rate.Allow() {
		k.exceeded.Inc()
		var none Answer
		return none, fault.New(fault.Busy, textTooMany)
	}
	var hold time.Time
	for {
		a, err := ask[Answer](ctx, k, method, request, patience)
		if err == nil || !again(fault.Of(err)) {
			return a, err
		}
		now := time.Now()
		if hold.IsZero() {
			hold = now.Add(holdTimeout)
		}
		pause := holdTimeout/32 + rand.N(holdTimeout/32)
		if hold.Sub(now) < pause {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-k.ctx.Done():
			return a, err
		case <-time.After(pause):
		}
		renew()
	}
}

// ask asks the server whose turn it is.
func ask[Answer any](ctx context.Context, k *Client, method string, request any, patience time.Duration) (Answer, error) {
	var none Answer
	address := k.servers.pick()
	if address == "" {
		return none, fault.New(fault.Unavailable, textNoServers)
	}
	limited := ctx
	if patience > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	k.asked.Inc()
	a, err := rpc.Call[Answer](limited, k.rpc, address, method, request)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // or who asked has gone away
		k.failed.Inc()
		switch fault.Of(err) {
		case fault.Unavailable, fault.Unknown, fault.NoLeader: // another may still know the leader
			k.servers.failed(address)
		}
	}
	return a, err
}
