package netmodel_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"

	"tribune/netmodel"
)

func draws(d netmodel.Dist, n int) []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]float64, n)
	for i := range all {
		all[i] = d.Draw(r).Seconds()
	}
	return all
}

func TestDistributionsHaveTheirMoments(t *testing.T) {
	const n = 200_000
	for _, c := range []struct {
		name            string
		dist            netmodel.Dist
		mean, deviation float64
	}{
		{"constant", netmodel.Constant(time.Second), 1, 0},
		{"between", netmodel.Between(time.Second, 3*time.Second), 2, 2 / math.Sqrt(12)},
		{"normal", netmodel.Normal(10*time.Second, time.Second), 10, 1},
		{"log-normal", netmodel.LogNormal(time.Second, 0.4), math.Exp(0.08), math.Exp(0.08) * math.Sqrt(math.Exp(0.16)-1)},
		{"measured", netmodel.Empirical([]time.Duration{4 * time.Second, 0, 2 * time.Second}), 2, 4 / math.Sqrt(12)},
		{"sum", netmodel.Sum(netmodel.Constant(time.Second), netmodel.Normal(10*time.Second, time.Second)), 11, 1},
		{"Pareto", netmodel.Pareto(time.Second, 4), 4.0 / 3, math.Sqrt(4.0 / (9 * 2))},
	} {
		mean, deviation := stat.MeanStdDev(draws(c.dist, n), nil)
		if math.Abs(mean-c.mean) > 0.02*c.mean || math.Abs(deviation-c.deviation) > 0.06*c.mean {
			t.Errorf("%s: mean %.4f, deviation %.4f; want %.4f and %.4f", c.name, mean, deviation, c.mean, c.deviation)
		}
	}
}

func TestNoDistributionIsNegative(t *testing.T) {
	for _, d := range []netmodel.Dist{netmodel.Normal(0, time.Second), netmodel.Constant(-1), netmodel.Between(-time.Second, time.Second), netmodel.Empirical(nil), netmodel.Empirical([]time.Duration{-1})} {
		for _, x := range draws(d, 10_000) {
			if x < 0 {
				t.Fatalf("%v", x)
			}
		}
	}
}

func TestLossComesAtItsRateAndInBursts(t *testing.T) {
	const n = 200_000
	r := rand.New(rand.NewPCG(3, 4))
	measure := func(l netmodel.Loss) (rate, burst float64) {
		chain, lost, bursts, before := l.Start(), 0, 0, false
		for range n {
			now := chain.Lost(r)
			if now {
				lost++
				if !before {
					bursts++
				}
			}
			before = now
		}
		return float64(lost) / n, float64(lost) / float64(bursts)
	}
	if rate, burst := measure(netmodel.Bernoulli(0.2)); math.Abs(rate-0.2) > 0.005 || math.Abs(burst-1.25) > 0.02 {
		t.Errorf("independent loss: rate %.3f, bursts of %.2f", rate, burst)
	}
	// Bad for a fifth of the time, ten packets at a time.
	if rate, burst := measure(netmodel.GilbertElliott{ToBad: 0.025, ToGood: 0.1, LossBad: 1}); math.Abs(rate-0.2) > 0.01 || math.Abs(burst-10) > 0.5 {
		t.Errorf("loss in bursts: rate %.3f, bursts of %.2f", rate, burst)
	}
}

func TestEveryNamedModelHasLinks(t *testing.T) {
	for _, name := range []string{"lan", "wan", "geo:aws", "geo:gcp"} {
		m, err := netmodel.Named(name)
		if err != nil || m.Name() != name {
			t.Fatalf("%s: %v", name, err)
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			if d := m.Link("s1", "s2").Latency.Draw(r); d <= 0 || d > time.Second {
				t.Errorf("%s: a latency of %v", name, d)
			}
		}
	}
	if _, err := netmodel.Named("moon"); err == nil {
		t.Error("a model that does not exist")
	}
}

func TestAMatrixSpreadsHostsAndKeepsItsRoundTrips(t *testing.T) {
	m, err := netmodel.ReadMatrix("m", strings.NewReader("# a comment\nfrom,to,avg_ms\nx,x,1\nx,y,100\ny,y,2\ny,x,120\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		from, to string
		want     time.Duration
	}{{"s1", "s2", 50 * time.Millisecond}, {"c2", "s3", 60 * time.Millisecond}, {"host", "s1", 500 * time.Microsecond}} {
		if got := m.Link(c.from, c.to).Latency.Draw(r); got != c.want {
			t.Errorf("%s to %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	for _, bad := range []string{"", "from,to,avg_ms\n", "from,to,avg_ms\nx,y,fast\n", "from,to,avg_ms\nx,y,-1\n"} {
		if _, err := netmodel.ReadMatrix("m", strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken for a matrix", bad)
		}
	}
}
