package netmodel

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Dist is a distribution of durations, never negative.
type Dist interface {
	// Draw returns the next duration from r.
	Draw(r *rand.Rand) time.Duration
}

// DistFunc is a function that is a Dist.
type DistFunc func(r *rand.Rand) time.Duration

// Draw implements Dist.
func (f DistFunc) Draw(r *rand.Rand) time.Duration { return f(r) }

// Constant always draws d.
func Constant(d time.Duration) Dist {
	return DistFunc(func(*rand.Rand) time.Duration { return max(d, 0) })
}

// Between draws evenly from low up to high.
func Between(low, high time.Duration) Dist {
	return DistFunc(func(r *rand.Rand) time.Duration {
		return max(low+time.Duration(r.Float64()*float64(high-low)), 0)
	})
}

// Normal draws from a normal distribution cut off at zero.
func Normal(mean, deviation time.Duration) Dist {
	return DistFunc(func(r *rand.Rand) time.Duration {
		return max(mean+time.Duration(r.NormFloat64()*float64(deviation)), 0)
	})
}

// LogNormal draws from the log-normal distribution with this median and this
// standard deviation of the logarithm, the usual fit of round-trip times on
// shared networks.
func LogNormal(median time.Duration, sigma float64) Dist {
	return DistFunc(func(r *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
	})
}

// Pareto draws from a Pareto distribution: at least scale, with a tail that is
// the longer the smaller alpha is; cut off at a thousand times scale.
func Pareto(scale time.Duration, alpha float64) Dist {
	return DistFunc(func(r *rand.Rand) time.Duration {
		// The quantile function of a uniform draw, so that one packet is one
		// draw.
		x := distuv.Pareto{Xm: 1, Alpha: alpha}.Quantile(r.Float64())
		return time.Duration(float64(scale) * min(x, 1000))
	})
}

// Empirical draws from durations that were measured, evenly, with those between two
// neighbours in order of size; from none it draws 0.
func Empirical(measured []time.Duration) Dist {
	sorted := slices.Sorted(slices.Values(measured))
	return DistFunc(func(r *rand.Rand) time.Duration {
		// A uniform draw even if there is nothing to choose: one packet is one draw.
		at := r.Float64() * float64(max(len(sorted)-1, 0))
		if len(sorted) == 0 {
			return 0
		}
		low := int(at)
		high := min(low+1, len(sorted)-1)
		return max(sorted[low]+time.Duration((at-float64(low))*float64(sorted[high]-sorted[low])), 0)
	})
}

// Sum draws from each of some distributions and adds up what it drew.
func Sum(parts ...Dist) Dist {
	return DistFunc(func(r *rand.Rand) (sum time.Duration) {
		for _, d := range parts {
			sum += d.Draw(r)
		}
		return sum
	})
}

// Loss decides packet by packet which are lost. It may remember, so each link
// direction needs its own Chain.
type Loss interface {
	// Start returns a new chain.
	Start() Chain
}

// Chain is the running state of a Loss on one link direction.
type Chain interface {
	// Lost draws whether the next packet is lost.
	Lost(r *rand.Rand) bool
}

// Bernoulli loses each packet with probability p, whatever happened before.
type Bernoulli float64

// Start implements Loss.
func (p Bernoulli) Start() Chain { return p }

// Lost implements Chain.
func (p Bernoulli) Lost(r *rand.Rand) bool { return r.Float64() < float64(p) }

// GilbertElliott loses packets in bursts: a link is good or bad, changes with
// the given probabilities at each packet, and loses with another probability in
// each state (Gilbert 1960, Elliott 1963).
type GilbertElliott struct {
	ToBad, ToGood     float64 // probability of a change, per packet
	LossGood, LossBad float64 // probability of loss in each state
}

// Start implements Loss; a link begins good.
func (g GilbertElliott) Start() Chain { return &gilbertElliott{GilbertElliott: g} }

type gilbertElliott struct {
	GilbertElliott
	bad bool
}

func (g *gilbertElliott) Lost(r *rand.Rand) bool {
	change, loss := g.ToBad, g.LossGood
	if g.bad {
		change, loss = g.ToGood, g.LossBad
	}
	lost := r.Float64() < loss
	if r.Float64() < change {
		g.bad = !g.bad
	}
	return lost
}
