package netmodel

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The matrices are measurements of round-trip times; the first lines of each
// file name their origin and licence.
var (
	//go:embed data/aws.csv
	aws []byte
	//go:embed data/gcp.csv
	gcp []byte
)

// Matrix is a model made of measured round-trip times between regions. Hosts are
// spread over the regions by the last number in their name, or lie in the first.
type Matrix struct {
	called  string
	regions []string
	pairs   map[[2]string]pair
}

// pair is a measured round trip.
type pair struct{ shortest, average, deviation time.Duration }

// Named returns the model that a scenario names: "lan", "wan", "geo:aws" or
// "geo:gcp".
func Named(name string) (Model, error) {
	switch name {
	case "lan":
		return LAN(), nil
	case "wan":
		return WAN(), nil
	case "geo:aws":
		return ReadMatrix(name, bytes.NewReader(aws))
	case "geo:gcp":
		return ReadMatrix(name, bytes.NewReader(gcp))
	}
	return nil, fmt.Errorf("no network model is called %q; there are lan, wan, geo:aws and geo:gcp", name)
}

// ReadMatrix reads a matrix: lines of comma-separated values with the columns
// from, to, min_ms, avg_ms, max_ms and mdev_ms of the round trip, in any order;
// those but from, to and avg_ms may be missing. Lines that begin with # are
// comments.
func ReadMatrix(name string, from io.Reader) (*Matrix, error) {
	m := &Matrix{called: name, pairs: map[[2]string]pair{}}
	r := csv.NewReader(from)
	r.Comment = '#'
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("matrix %s: %w", name, err)
	}
	column := func(row []string, name string) string {
		if i := slices.Index(head, name); i >= 0 && i < len(row) {
			return row[i]
		}
		return ""
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("matrix %s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		average, err := milliseconds(column(row, "avg_ms"))
		if err != nil {
			return nil, fmt.Errorf("matrix %s, line %d: avg_ms: %w", name, line, err)
		}
		p := pair{shortest: average, average: average}
		if text := column(row, "min_ms"); text != "" {
			if p.shortest, err = milliseconds(text); err != nil {
				return nil, fmt.Errorf("matrix %s, line %d: min_ms: %w", name, line, err)
			}
		}
		if text := column(row, "mdev_ms"); text != "" {
			if p.deviation, err = milliseconds(text); err != nil {
				return nil, fmt.Errorf("matrix %s, line %d: mdev_ms: %w", name, line, err)
			}
		}
		a, b := column(row, "from"), column(row, "to")
		m.pairs[[2]string{a, b}] = p
		if !slices.Contains(m.regions, a) {
			m.regions = append(m.regions, a)
		}
	}
	if len(m.regions) == 0 {
		return nil, fmt.Errorf("matrix %s holds no measurements", name)
	}
	slices.Sort(m.regions)
	return m, nil
}

func milliseconds(text string) (time.Duration, error) {
	ms, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || ms < 0 {
		return 0, fmt.Errorf("%q is not a number of milliseconds", text)
	}
	return time.Duration(ms * float64(time.Millisecond)), nil
}

func (m *Matrix) region(host string) string {
	digits := host[len(strings.TrimRight(host, "0123456789")):]
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 {
		n = 1
	}
	return m.regions[(n-1)%len(m.regions)]
}

// Name implements Model.
func (m *Matrix) Name() string { return m.called }

// Link implements Model: half the round trip, never less than half of the
// shortest one measured, with the measured deviation.
func (m *Matrix) Link(from, to string) Link {
	p, ok := m.pairs[[2]string{m.region(from), m.region(to)}]
	if !ok {
		p = m.pairs[[2]string{m.region(to), m.region(from)}]
	}
	return Link{Bandwidth: 1e9, Latency: DistFunc(func(r *rand.Rand) time.Duration {
		d := p.average + time.Duration(r.NormFloat64()*float64(p.deviation))
		return max(d, p.shortest) / 2
	})}
}
