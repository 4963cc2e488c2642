package protocol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// TestDocumentedClient runs the client in docs/protocol.md against a broker, with what a node does
// to messages at the other end.
func TestDocumentedClient(t *testing.T) {
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		t.Fatalf("the client in docs/protocol.md is written in Ruby: %v", err)
	}
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, found := strings.Cut(string(text), "```ruby\n")
	program, _, closed := strings.Cut(program, "```\n")
	if !found || !closed {
		t.Fatal("no Ruby in docs/protocol.md")
	}
	script := filepath.Join(t.TempDir(), "ask.rb")
	if err := os.WriteFile(script, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}

	site := labtest.TLSBroker(t)
	site.Issue(t, pki.Request{Name: "doc.mcollective", RSA: true})
	answer(t, site)

	at, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	file := func(name string) string { return filepath.Join(site.Dir, name) }
	ask := func(fact string) (stdout, stderr string, err error) {
		cmd := exec.CommandContext(ctx, ruby, script, at.Hostname(), at.Port(), file("doc.mcollective.pem"), file("doc.mcollective.key"), file("ca.pem"), "n1.example.net", fact)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		return out.String(), errs.String(), err
	}
	if out, errs, err := ask("os.family"); err != nil || out != "n1.example.net: \"os.family of the node\"\n" {
		t.Errorf("got %q, %q, %v", out, errs, err)
	}
	if out, errs, err := ask("secret"); err == nil || errs != "n1.example.net: You are not authorized to call this agent or action\n" {
		t.Errorf("got %q, %q, %v; want it to be refused", out, errs, err)
	}
}

// answer is node n1 with the action get_fact of the agent rpcutil.
func answer(t *testing.T, site *labtest.Site) {
	t.Helper()
	n1 := site.Identity(t, "n1.example.net", security.ForServer)
	conn, err := transport.Connect(t.Context(), transport.Options{Servers: []string{site.URL}, Name: n1.Name(), TLS: n1.ClientTLS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	_, err = conn.Subscribe("mcollective.node.n1.example.net", "", 0, func(m transport.Msg) {
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		req, err := protocol.OpenRequest(tr, n1, time.Now())
		if err != nil {
			t.Error(err)
			return
		}
		var call struct {
			Agent, Action string
			Data          struct{ Fact string }
		}
		if err := json.Unmarshal(req.Body, &call); err != nil || call.Agent != "rpcutil" || call.Action != "get_fact" {
			t.Errorf("body %s: %v", req.Body, err)
		}
		body := `{"action":"get_fact","statuscode":0,"statusmsg":"OK","data":{"fact":"` + call.Data.Fact + `","value":"` + call.Data.Fact + ` of the node"}}`
		if call.Data.Fact == "secret" {
			body = `{"action":"get_fact","statuscode":1,"statusmsg":"You are not authorized to call this agent or action","data":{}}`
		}
		data, err := protocol.SealReply(&protocol.Reply{Version: req.Version, RequestID: req.ID, Sender: n1.Name(), Agent: req.Agent, Time: time.Now(), Body: []byte(body)})
		if err != nil {
			t.Error(err)
			return
		}
		payload, err := (&protocol.Transport{Version: req.Version, Sender: n1.Name(), Data: data}).Encode()
		if err != nil {
			t.Error(err)
			return
		}
		if err := conn.Publish(tr.ReplyTo, payload); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentedLinks finds the schemas that docs/protocol.md names, and names all there are.
func TestDocumentedLinks(t *testing.T) {
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(\.\./schemas/([^)]+)\)`).FindAllSubmatch(text, -1) {
		named[string(m[1])] = true
	}
	all := loadSchemas(t).text
	for name := range all {
		// That of filters is part of requests.
		if !named[name] && name != "protocol/v1/filter.json" {
			t.Errorf("docs/protocol.md does not name %s", name)
		}
	}
	for name := range named {
		if all[name] == nil {
			t.Errorf("docs/protocol.md names %s, which does not exist", name)
		}
	}
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllSubmatch(text, -1) {
		anchor := strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(string(m[1])))
		headings[anchor] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllSubmatch(text, -1) {
		if !headings[string(m[1])] {
			t.Errorf("docs/protocol.md links to #%s, which is no heading", m[1])
		}
	}
}
