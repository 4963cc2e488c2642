package task_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A mailServer is an SMTP server that keeps what it gets.
type mailServer struct {
	address  string
	ca       string // file with the certificate of its TLS
	starttls bool
	implicit bool   // speaks TLS from the first byte on
	auth     string // the method it offers; users are u with the password pässword
	refuse   string // the recipient it does not know

	tls *tls.Config
	mu  sync.Mutex
	got []delivery
}

// A delivery is one email as the server got it.
type delivery struct {
	from, data    string
	to            []string
	secure, known bool // came with TLS; from somebody who had logged in
}

// start runs the server until the test ends.
func (m *mailServer) start(t testing.TB) *mailServer {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	m.tls = &tls.Config{Certificates: web.TLS.Certificates}
	m.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(m.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if m.implicit {
					m.serve(tls.Server(conn, m.tls), true)
				} else {
					m.serve(conn, false)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return m
}

// serve speaks SMTP on one connection. Source: RFC 5321, RFC 3207, RFC 4954.
func (m *mailServer) serve(conn net.Conn, secure bool) {
	r := textproto.NewReader(bufio.NewReader(conn))
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 ready")
	var d delivery
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-here")
			if m.starttls && !secure {
				say("250-STARTTLS")
			}
			if m.auth != "" {
				say("250-AUTH %s", m.auth)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, m.tls)
			r, secure, d = textproto.NewReader(bufio.NewReader(conn)), true, delivery{}
		case "AUTH":
			if d.known = m.knows(rest, say, r); d.known {
				say("235 welcome")
			} else {
				say("535 who is that")
			}
		case "MAIL":
			d.from, d.secure = rest, secure
			say("250 ok")
		case "RCPT":
			if m.refuse != "" && strings.Contains(rest, m.refuse) {
				say("550 nobody of that name")
				continue
			}
			d.to = append(d.to, strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">"))
			say("250 ok")
		case "DATA":
			say("354 go on")
			data, err := io.ReadAll(r.DotReader())
			if err != nil {
				return
			}
			d.data = string(data)
			m.mu.Lock()
			m.got = append(m.got, d)
			m.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what")
		}
	}
}

// knows reports whether the client is u with the right password.
func (m *mailServer) knows(command string, say func(string, ...any), r *textproto.Reader) bool {
	method, initial, _ := strings.Cut(command, " ")
	if method == "PLAIN" {
		text, err := base64.StdEncoding.DecodeString(initial)
		return err == nil && string(text) == "\x00u\x00pässword"
	}
	const challenge = "<1@here>"
	say("334 %s", base64.StdEncoding.EncodeToString([]byte(challenge)))
	line, err := r.ReadLine()
	if err != nil {
		return false
	}
	mac := hmac.New(md5.New, []byte("pässword"))
	mac.Write([]byte(challenge))
	text, err := base64.StdEncoding.DecodeString(line)
	return err == nil && string(text) == "u "+hex.EncodeToString(mac.Sum(nil))
}

// last returns the last delivery and forgets all; there may be none.
func (m *mailServer) last() (d delivery, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got) == 0 {
		return d, false
	}
	d = m.got[len(m.got)-1]
	m.got = nil
	return d, true
}

func TestEmail(t *testing.T) {
	t.Parallel()
	m := (&mailServer{}).start(t)
	body := "Grüße\n.\n..dots\n" + strings.Repeat("long ", 300) + "\nend"
	o, _, hidden, err := perform(t, "email", fmt.Sprintf(`{"server":%q,"from":"Choria <choria@example.net>","to":["\"Jörg, ops\" <ops@example.net>","b@example.net"],
		"cc":"c@example.net","bcc":["d@example.net"],"subject":"déployé: 100%%","body":%q,"headers":{"X-Ticket":5,"Reply-To":"noc@example.net"}}`, m.address, body))
	if err != nil || !o.Success || len(hidden.list) != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	got, ok := m.last()
	if !ok || !strings.HasPrefix(got.from, "FROM:<choria@example.net>") ||
		!slices.Equal(got.to, []string{"ops@example.net", "b@example.net", "c@example.net", "d@example.net"}) || got.secure || got.known {
		t.Fatalf("the server got %+v", got)
	}
	message, err := mail.ReadMessage(strings.NewReader(got.data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil || subject != "déployé: 100%" {
		t.Errorf("subject %q, %v", subject, err)
	}
	for name, want := range map[string]string{"To": "ops@example.net b@example.net", "Cc": "c@example.net", "From": "choria@example.net"} {
		list, err := message.Header.AddressList(name)
		var have []string
		for _, a := range list {
			have = append(have, a.Address)
		}
		if err != nil || strings.Join(have, " ") != want {
			t.Errorf("%s is %q, %v; want %s", name, message.Header.Get(name), err, want)
		}
	}
	for name, want := range map[string]string{
		"Bcc": "", "X-Ticket": "5", "Reply-To": "noc@example.net", "X-Choria-Playbook": "site::deploy",
		"Content-Type": "text/plain; charset=utf-8", "Message-Id": fmt.Sprint(o.Results[0].Value),
	} {
		if have := message.Header.Get(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if _, err := message.Header.Date(); err != nil {
		t.Error(err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(message.Body))
	if want := body + "\n"; err != nil || strings.ReplaceAll(string(text), "\r\n", "\n") != want { // the last line gets an end on the way
		t.Errorf("body %q, %v", text, err)
	}
	if r := o.Results[0]; r.Host != "127.0.0.1" || !strings.HasSuffix(fmt.Sprint(r.Value), "@example.net>") || !strings.Contains(o.Message, "was sent through "+m.address) {
		t.Errorf("%q, %+v", o.Message, r)
	}
}

// TestEmailSecurity holds that passwords go to nobody but the server, and how it is verified.
func TestEmailSecurity(t *testing.T) {
	t.Parallel()
	const login = `,"user":"u","password":"pässword"`
	ca := func(m *mailServer) string { return fmt.Sprintf(`,"ca":%q`, m.ca) }
	none := func(*mailServer) string { return "" }
	tests := []struct {
		server        *mailServer
		properties    string
		trust         func(*mailServer) string
		secure, known bool
		err           string
	}{
		{&mailServer{}, ``, none, false, false, ""},
		{&mailServer{}, `,"tls":"starttls"`, none, false, false, "the server does not offer STARTTLS"},
		{&mailServer{}, login, none, false, false, `the server offers neither PLAIN nor CRAM-MD5 to log in, but ""`},
		{&mailServer{starttls: true, auth: "PLAIN"}, login, ca, true, true, ""},
		{&mailServer{starttls: true, auth: "LOGIN CRAM-MD5"}, login, ca, true, true, ""},
		{&mailServer{starttls: true, auth: "PLAIN"}, login, none, false, false, "certificate signed by unknown authority"},
		{&mailServer{starttls: true, auth: "PLAIN"}, `,"user":"u","password":"wrong"`, ca, false, false, "log in as u: 535 \"who is that\""},
		{&mailServer{starttls: true}, `,"tls":"none"`, none, false, false, ""},
		{&mailServer{implicit: true, auth: "PLAIN"}, `,"tls":"implicit"` + login, ca, true, true, ""},
		{&mailServer{implicit: true}, `,"tls":"implicit"`, none, false, false, "certificate signed by unknown authority"},
		{&mailServer{refuse: "a@"}, ``, none, false, false, "recipient a@example.net: 550 \"nobody of that name\""},
	}
	for _, tt := range tests {
		m := tt.server.start(t)
		o, log, hidden, err := perform(t, "email", fmt.Sprintf(`{"server":%q,"from":"f@example.net","to":["b@example.net","a@example.net"],"subject":"s","body":"b"%s%s}`,
			m.address, tt.properties, tt.trust(m)))
		if err != nil {
			t.Errorf("%s: %v", tt.properties, err)
			continue
		}
		got, ok := m.last()
		if ok != (tt.err == "") || o.Success != ok || got.secure != tt.secure || got.known != tt.known {
			t.Errorf("%+v%s: delivered %v, secure %v, known %v; %q", tt.server.auth, tt.properties, ok, got.secure, got.known, o.Message)
		}
		if !ok && !strings.Contains(o.Message, tt.err) {
			t.Errorf("%s: %q; want %q", tt.properties, o.Message, tt.err)
		}
		if !ok && fmt.Sprint(o.Results[0].Error.Details) != "map[server:"+m.address+" to:[b@example.net a@example.net]]" {
			t.Errorf("%s: details %v", tt.properties, o.Results[0].Error.Details)
		}
		if strings.Contains(tt.properties, "pässword") && (!slices.Equal(hidden.list, []string{"pässword"}) || strings.Contains(strings.Join(log.Lines(), "\n")+o.Message, "pässword")) {
			t.Errorf("%s: hidden %q", tt.properties, hidden.list)
		}
	}
}

func TestEmailSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o, _, _, err := perform(t, "email", fmt.Sprintf(`{"server":%q,"from":"f@h","to":"t@h","subject":"s","body":"b","timeout":0.2}`, l.Addr()))
	if err != nil || o.Success || !strings.HasSuffix(o.Message, "not done within 0.2 seconds") {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestEmailRefusals(t *testing.T) {
	t.Parallel()
	all := map[string]string{"from": `"f@h"`, "to": `"t@h"`, "subject": `"s"`, "body": `"b"`}
	tests := []struct{ name, value, err string }{
		{"from", ``, `property "from" of the email task: is required`},
		{"from", `"nobody"`, `property "from" of the email task: "nobody" is no address of email`},
		{"to", ``, `property "to" of the email task: is required`},
		{"to", `["a@b","x\r\ny@z"]`, `property "to" of the email task: "x\r\ny@z" is no address of email`},
		{"to", `5`, `property "to" of the email task: want an array of strings, got 5`},
		{"subject", ``, `property "subject" of the email task: is required`},
		{"subject", `"a\r\nBcc: x@y"`, `property "subject" of the email task: want one line`},
		{"body", ``, `property "body" of the email task: is required`},
		{"tls", `"ssl"`, `property "tls" of the email task: want offered or starttls or implicit or none, got "ssl"`},
		{"user", `"u"`, `property "password" of the email task: user and password go together`},
		{"headers", `{"A\r\nB":"x"}`, `property "headers" of the email task: "A\r\nB" cannot be a header`},
		{"server", `"smtp://x"`, `property "server" of the email task: want a host or host:port, got "smtp://x"`},
	}
	for _, tt := range tests {
		var parts []string
		for name, value := range all {
			if name != tt.name {
				parts = append(parts, fmt.Sprintf("%q:%s", name, value))
			}
		}
		if tt.value != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", tt.name, tt.value))
		}
		if _, _, _, err := perform(t, "email", "{"+strings.Join(parts, ",")+"}"); err == nil || err.Error() != tt.err {
			t.Errorf("%s %s: %v; want %s", tt.name, tt.value, err, tt.err)
		}
	}
}
