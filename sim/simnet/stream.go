package simnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// stream is what a program holds of a TCP stream.
type stream struct {
	c    *conn
	turn chan struct{} // holds one token for the Write that goes on: writes do not mix

	readDeadline, writeDeadline deadline
}

var _ net.Conn = (*stream)(nil)

func newStream(c *conn) *stream { return &stream{c: c, turn: make(chan struct{}, 1)} }

func (s *stream) Read(b []byte) (int, error) {
	for {
		n, wait, err := s.tryRead(b)
		if wait == nil {
			return n, err
		}
		select {
		case <-wait:
		case <-s.readDeadline.wait():
		}
	}
}

// tryRead reads, or returns what to wait for.
func (s *stream) tryRead(b []byte) (int, <-chan struct{}, error) {
	c := s.c
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	switch {
	case c.shutDown:
		return 0, nil, c.err("read", net.ErrClosed)
	case len(b) == 0:
		return 0, nil, nil
	case s.readDeadline.passed():
		return 0, nil, c.err("read", os.ErrDeadlineExceeded)
	case c.in.size > 0:
		n := c.in.read(b)
		c.offerWindow()
		return n, nil, nil
	case c.in.ended:
		return 0, nil, io.EOF
	case c.failure != nil:
		return 0, nil, c.takeFailure("read")
	case c.broken:
		return 0, nil, io.EOF // as Linux has it once the error was told
	}
	return 0, c.readable.wait(), nil
}

func (s *stream) Write(b []byte) (int, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	done := 0
	for {
		n, wait, err := s.tryWrite(b[done:])
		if done += n; wait == nil {
			return done, err
		}
		select {
		case <-wait:
		case <-s.writeDeadline.wait():
		}
	}
}

// tryWrite takes what there is room for; if that is not all, it returns what to
// wait for.
func (s *stream) tryWrite(b []byte) (int, <-chan struct{}, error) {
	c := s.c
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	switch {
	case c.shutDown:
		return 0, nil, c.err("write", net.ErrClosed)
	case s.writeDeadline.passed():
		return 0, nil, c.err("write", os.ErrDeadlineExceeded)
	case c.failure != nil:
		return 0, nil, c.takeFailure("write")
	case c.broken || c.out.fin:
		return 0, nil, c.err("write", os.NewSyscallError("write", syscall.EPIPE))
	}
	c.settle()
	take := min(bufferSize-len(c.out.data), len(b))
	if take > 0 {
		c.out.data = append(c.out.data, b[:take]...)
		c.transmit()
	}
	if take == len(b) {
		return take, nil, nil
	}
	wait := c.writable.wait()
	c.expect()
	return take, wait, nil
}

// Close closes the stream for the program; the kernel goes on sending what was
// written.
func (s *stream) Close() error {
	c := s.c
	s.readDeadline.stop()
	s.writeDeadline.stop()
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	if c.shutDown {
		return c.err("close", net.ErrClosed)
	}
	c.shut()
	return nil
}

// CloseWrite ends the sending half: the other end reads io.EOF after the data.
func (s *stream) CloseWrite() error {
	c := s.c
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	if c.shutDown {
		return c.err("close", net.ErrClosed)
	}
	if c.broken {
		return c.err("close", os.NewSyscallError("shutdown", syscall.ENOTCONN))
	}
	c.finish()
	return nil
}

func (s *stream) LocalAddr() net.Addr { return s.c.laddr }

func (s *stream) RemoteAddr() net.Addr { return s.c.raddr }

func (s *stream) SetDeadline(t time.Time) error {
	return s.setDeadlines(t, &s.readDeadline, &s.writeDeadline)
}

func (s *stream) SetReadDeadline(t time.Time) error { return s.setDeadlines(t, &s.readDeadline) }

func (s *stream) SetWriteDeadline(t time.Time) error { return s.setDeadlines(t, &s.writeDeadline) }

func (s *stream) setDeadlines(t time.Time, which ...*deadline) error {
	c := s.c
	c.stack.net.mu.Lock()
	closed := c.shutDown
	c.stack.net.mu.Unlock()
	if closed {
		return c.err("set", net.ErrClosed)
	}
	for _, d := range which {
		d.set(t)
	}
	return nil
}
