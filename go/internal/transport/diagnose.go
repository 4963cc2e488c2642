package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Times and sizes of a diagnosis.
const (
	diagnoseTimeout = 2 * time.Second
	diagnosePause   = 200 * time.Millisecond // for what a broker says without being asked
	maxInfoLine     = 64 << 10
)

// diagnose connects to a server that hung up on us, and finds out why. A broker that refuses says so
// and closes the connection at once; when we are writing at that moment, the operating system throws
// away what it said. Here nothing is written that need not be. It returns nil when it found nothing.
func (c *Conn) diagnose(ctx context.Context, server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "wss" || u.Scheme == "ws" || c.options.InProcess != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, min(diagnoseTimeout, c.options.ConnectTimeout))
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	in := bufio.NewReaderSize(conn, maxInfoLine)
	line, err := in.ReadSlice('\n') // the welcome
	if err != nil {
		return nil
	}
	if err := refusal(line); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(diagnosePause))
	if line, err := in.ReadSlice('\n'); err == nil {
		return refusal(line)
	}
	if c.options.TLS == nil || in.Buffered() > 0 {
		return nil
	}

	conn.SetReadDeadline(time.Time{})
	config := c.options.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(diagnosePause))
	_, err = secure.Read(make([]byte, 1)) // in TLS 1.3 our certificate is refused after the handshake
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return err
	}
	return nil
}

// refusal returns the error in a line that a broker sent, nil when it is another line.
func refusal(line []byte) error {
	text, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "-ERR ")
	if !ok {
		return nil
	}
	return fmt.Errorf("%s", strings.ToLower(strings.Trim(text, "' ")))
}
