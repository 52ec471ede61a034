package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/net/http2"

	"tribune/impl/api"
)

// connect opens a stream, over TLS unless t is nil.
func (c Config) connect(ctx context.Context, address string, t *tls.Config) (net.Conn, error) {
	conn, err := c.Network.Dial(ctx, "tcp", address)
	if err != nil || t == nil {
		return conn, err
	}
	secure := tls.Client(conn, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the first error is the one to tell
		return nil, err
	}
	return secure, nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address // dialling it will say what is wrong
	}
	return host
}

// tcp is passing if a connection can be opened.
func (c Config) tcp(d api.CheckDefinition) probe {
	kind, secure := "TCP", (*tls.Config)(nil)
	if d.TCPUseTLS {
		kind, secure = "TCP+TLS", c.tlsFor(d, hostOf(d.TCP))
	}
	return func(ctx context.Context) finding {
		conn, err := c.connect(ctx, d.TCP, secure)
		if err != nil {
			return finding{api.HealthCritical, err.Error()}
		}
		_ = conn.Close() // it has served its purpose
		return finding{api.HealthPassing, fmt.Sprintf("%s connect %s: Success", kind, d.TCP)}
	}
}

// breakOff ends the reading and writing of a connection with the context, unless
// the function that it returns is called before.
func breakOff(ctx context.Context, conn net.Conn) func() bool {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// udp sends an empty datagram. Since nobody has to answer one, it is critical only
// if the other host says that nobody is there to receive it.
func (c Config) udp(d api.CheckDefinition) probe {
	return func(ctx context.Context) finding {
		err := c.askUDP(ctx, d.UDP)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return finding{api.HealthCritical, err.Error()}
		}
		return finding{api.HealthPassing, fmt.Sprintf("UDP connect %s: Success", d.UDP)}
	}
}

func (c Config) askUDP(ctx context.Context, address string) error {
	conn, err := c.Network.Dial(ctx, "udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer breakOff(ctx, conn)()
	if _, err := conn.Write(nil); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// h2ping is passing if a PING frame of HTTP/2 is answered.
func (c Config) h2ping(d api.CheckDefinition) probe {
	var secure *tls.Config
	if d.H2PingUseTLS == nil || *d.H2PingUseTLS {
		secure = c.tlsFor(d, hostOf(d.H2PING))
		secure.NextProtos = []string{http2.NextProtoTLS}
	}
	return func(ctx context.Context) finding {
		conn, err := c.connect(ctx, d.H2PING, secure)
		if err != nil {
			return finding{api.HealthCritical, fmt.Sprintf("Failed to dial to %s: %s", d.H2PING, err)}
		}
		defer conn.Close()
		defer breakOff(ctx, conn)()
		if err := ping(conn); err != nil {
			return finding{api.HealthCritical, fmt.Sprintf("HTTP2 ping failed: %s", err)}
		}
		return finding{api.HealthPassing, "HTTP2 ping was successful"}
	}
}

// ping opens HTTP/2 on a connection and waits for the answer to a PING (RFC 9113,
// sections 3.4 and 6.7).
func ping(conn net.Conn) error {
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	frames := http2.NewFramer(conn, conn)
	frames.SetMaxReadFrameSize(maxFrame)
	if err := frames.WriteSettings(); err != nil {
		return err
	}
	data := [8]byte([]byte("tribune?"))
	if err := frames.WritePing(false, data); err != nil {
		return err
	}
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.PingFrame:
			if f.IsAck() && f.Data == data {
				return nil
			}
		case *http2.SettingsFrame:
			if f.IsAck() {
				continue
			}
			if err := frames.WriteSettingsAck(); err != nil {
				return err
			}
		}
	}
}

// maxFrame is what a peer may send that was told nothing else, in bytes.
const maxFrame = 1 << 14
