package monitoring_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// A letter is one mail.
type letter struct{ from, to, subject, body string }

// A mailbox is an SMTP server that keeps what it gets.
type mailbox struct {
	addr     string
	login    string // what AUTH PLAIN has to say
	listener net.Listener

	mu      sync.Mutex
	letters []letter
	faults  []error
}

// newMailbox runs one until the test ends. It takes mail from that user alone.
func newMailbox(t *testing.T, user, password string) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &mailbox{addr: l.Addr().String(), listener: l, login: base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				if err := b.serve(c); err != nil {
					b.mu.Lock()
					defer b.mu.Unlock()
					b.faults = append(b.faults, err)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
		for _, err := range b.faults {
			t.Errorf("mail: %v", err)
		}
	})
	return b
}

// serve speaks with one client. Source: RFC 5321, RFC 4954.
func (b *mailbox) serve(c net.Conn) error {
	p := textproto.NewConn(c)
	defer p.Close()
	say := func(line string) { _ = p.PrintfLine("%s", line) } // who has gone reads nothing
	say("220 mail.example.net")
	var m letter
	known := false
	for {
		line, err := p.ReadLine()
		if err != nil {
			return nil // it has gone
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mail.example.net")
			say("250 AUTH PLAIN")
		case "AUTH":
			known = rest == "PLAIN "+b.login
			if !known {
				say("535 no")
				return fmt.Errorf("log in with %q", rest)
			}
			say("235 yes")
		case "MAIL":
			if !known {
				say("530 who are you")
				return fmt.Errorf("mail without a log-in: %q", line)
			}
			m = letter{from: rest}
			say("250 ok")
		case "RCPT":
			m.to += rest
			say("250 ok")
		case "DATA":
			say("354 go on")
			if err := m.read(p.DotReader()); err != nil {
				say("554 what")
				return err
			}
			b.mu.Lock()
			b.letters = append(b.letters, m)
			b.mu.Unlock()
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return nil
		default:
			say("502 unknown")
			return fmt.Errorf("unknown command %q", line)
		}
	}
}

// read reads the subject and all parts of the body.
func (m *letter) read(r io.Reader) error {
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	if m.subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		m.body += string(text)
	}
}

// find returns the first mail that f holds for.
func (b *mailbox) find(f func(letter) bool) (letter, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.letters {
		if f(m) {
			return m, true
		}
	}
	return letter{}, false
}

// subjects returns what has come.
func (b *mailbox) subjects() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, m := range b.letters {
		all = append(all, m.subject)
	}
	return all
}
