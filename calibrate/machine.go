//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tribune/netmodel"
)

// Machine is what the simulator is told of the machine on which the real agents
// run: times that were measured between the measurements, from which it draws.
type Machine struct {
	// Sync is how long the fsync of a small write took.
	Sync []time.Duration
	// Message is what a message cost, one way, beyond the link: two kernels, the
	// router, and the programs at either end waking up and handling it. It is half
	// of a request that the link did not delay.
	Message []time.Duration
}

// model is a link of a plan with what a message costs on this machine.
func (m Machine) model(l Link) netmodel.Model {
	link := l.model()
	if len(m.Message) > 0 {
		link.Latency = netmodel.Sum(link.Latency, netmodel.Empirical(m.Message))
	}
	return netmodel.Uniform{Called: "calibration", Each: link}
}

// sync is how long an fsync takes; nil: no time.
func (m Machine) sync() netmodel.Dist {
	if len(m.Sync) == 0 {
		return nil
	}
	return netmodel.Empirical(m.Sync)
}

// scales measure what a machine costs.
type scales struct {
	file   *os.File // to sync
	at     int64    // where it is written next
	client http.Client
	found  Machine
}

// logSize is the length of the file that is synced. As the agent's log, it has its
// length before it is written.
const logSize = 4 << 20

func newScales(dir string) (*scales, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, logSize)); err != nil {
		return nil, err
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(directAddress)}}
	s := &scales{file: f, client: http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}}
	return s, f.Sync()
}

// weigh measures a request to an agent and an fsync, once.
func (s *scales) weigh(ctx context.Context, address string) error {
	begun := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, "8500")+"/v1/status/leader", nil)
	if err != nil {
		return err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if cerr := answer.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	s.found.Message = append(s.found.Message, time.Since(begun)/2)
	const entry = 512 // about what a write to the log has
	if _, err := s.file.WriteAt(make([]byte, entry), s.at); err != nil {
		return err
	}
	s.at = (s.at + entry) % logSize
	begun = time.Now()
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("measuring fsync: %w", err)
	}
	s.found.Sync = append(s.found.Sync, time.Since(begun))
	return nil
}
