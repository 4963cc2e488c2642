package discovery

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
)

// identities makes a CA with a certificate for a service on 127.0.0.1 and one for a client.
func siteIdentities(t *testing.T) (service, client *security.Identity) {
	t.Helper()
	ca, err := pki.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	load := func(kind security.For, r pki.Request) *security.Identity {
		pair, err := ca.Issue(r)
		if err == nil {
			err = ca.WriteSSLDir(dir, r.Name, pair)
		}
		if err != nil {
			t.Fatal(err)
		}
		id, err := security.New(security.Options{
			For: kind, Name: r.Name,
			Certificate: filepath.Join(dir, "certs", r.Name+".pem"),
			Key:         filepath.Join(dir, "private_keys", r.Name+".pem"),
			CA:          filepath.Join(dir, "certs", "ca.pem"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	return load(security.ForBroker, pki.Request{Name: "puppetdb", IPs: []string{"127.0.0.1"}}),
		load(security.ForClient, pki.Request{Name: "ann.mcollective"})
}

// standIn answers in the place of a PuppetDB, over TLS and to the certificates of the site alone. The
// tests with the real one are in package realtest.
func standIn(t *testing.T, service *security.Identity, answer http.HandlerFunc) (server string) {
	t.Helper()
	s := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0), // clients that give up are part of the tests
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.TLS.PeerCertificates) == 0 {
				http.Error(w, "no certificate", http.StatusForbidden)
				return
			}
			answer(w, r)
		}),
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", service.ServerTLS())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}

func TestPuppetDB(t *testing.T) {
	service, client := siteIdentities(t)
	rows := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
	}
	status := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); io.WriteString(w, text) }
	}
	const ab = `[{"certname":"a","deactivated":null},{"certname":"gone","deactivated":"2026-01-01T00:00:00.000Z"},{"certname":"b"}]`
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   []string
		err    string // behind the name of the server
	}{
		{"nodes", rows(ab), []string{"a", "b"}, ""},
		{"none", rows("[]"), nil, ""},
		{"a syntax error", status(400, "PQL parse error at line 1, column 3:\n\nxx\n"), nil, "400 Bad Request: PQL parse error at line 1, column 3:\n\nxx"},
		{"no permission", status(403, ""), nil, "403 Forbidden"},
		{"a redirect", status(302, ""), nil, "redirects elsewhere (302), which is not followed"},
		{"another service", rows("<html>"), nil, "answer: no list of rows\ninvalid character '<' looking for beginning of value"},
		{"a map", rows("{}"), nil, "answer: no list of rows"},
		{"an end too early", rows(`[{"certname":"a"},`), nil, "answer: it ends too early"},
		{"no certname", rows(`[{"count":3}]`), nil, "answer: a row has no certname: select it in the query"},
		{"a name that is none", rows(`[{"certname":"a b"}]`), nil, ""},
		{"a long complaint", status(500, strings.Repeat("x", 10_000)), nil, "500 Internal Server Error: " + strings.Repeat("x", maxComplaint)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := standIn(t, service, tt.answer)
			env := &Env{PuppetDB: func(context.Context) PuppetDB { return PuppetDB{Servers: []string{server}, TLS: client.ServiceTLS} }}
			got, err := find(t, "choria", env, Query{Filter: filter.Filter{Class: []string{"x"}}})
			want := ""
			switch {
			case tt.err != "":
				want = "discovery method puppetdb: PuppetDB " + server + ": " + tt.err
			case tt.name == "a name that is none":
				want = `discovery method puppetdb: "a b" is no host name`
			}
			if !slices.Equal(got, tt.want) || message(err) != want {
				t.Errorf("%v, %q\nwant %v, %q", got, message(err), tt.want, want)
			}
		})
	}
}

func TestPuppetDBQueries(t *testing.T) {
	service, client := siteIdentities(t)
	var asked []string
	server := standIn(t, service, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/pdb/query/v4" {
			http.NotFound(w, r)
			return
		}
		query := r.URL.Query().Get("query")
		if r.Method == http.MethodPost {
			var body struct{ Query string }
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			query = body.Query
		}
		asked = append(asked, r.Method+" "+query)
		fmt.Fprintf(w, `[{"certname":"found","deactivated":null}]`)
	})
	dead, err := net.Listen("tcp", "127.0.0.1:0") // a server that is not there
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	env := &Env{PuppetDB: func(context.Context) PuppetDB {
		return PuppetDB{Servers: []string{dead.Addr().String(), server}, TLS: client.ServiceTLS}
	}}
	long := make([]string, 200)
	for i := range long {
		long[i] = fmt.Sprintf("/^node%d/", i)
	}
	longQuery, err := pql(filter.Filter{Identity: long}, "")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		q     Query
		asked string // empty: nobody
		want  string
		err   string
	}{
		{Query{Filter: filter.Filter{Class: []string{"x"}}}, `GET nodes[certname, deactivated] { (resources {type = "Class" and title = "X"}) }`, "found", ""},
		{Query{Filter: filter.Filter{Identity: long}}, "POST " + longQuery, "found", ""},
		{Query{Filter: filter.Filter{Identity: []string{"a", "b"}, Agent: []string{"rpcutil"}}, Collective: "c"}, "", "a b", ""},
		{Query{Options: map[string]string{"query": "nodes[certname]{}"}, Filter: filter.Filter{Agent: []string{"rpcutil"}}}, "GET nodes[certname]{}", "found", ""},
		{Query{Options: map[string]string{"query": "nodes[certname]{}"}, Filter: filter.Filter{Identity: []string{"a"}}}, "", "",
			"the option query is the whole question: filters cannot be combined with it"},
		{Query{Options: map[string]string{"qurey": "x"}}, "", "", ""},
	}
	for _, tt := range tests {
		asked = nil
		got, err := find(t, "puppetdb", env, tt.q)
		if strings.Join(asked, "\n") != tt.asked || strings.Join(got, " ") != tt.want || (tt.want == "") != (err != nil) || !strings.Contains(message(err), tt.err) {
			t.Errorf("%+v\nasked %q\nfound %v, %v", tt.q, asked, got, err)
		}
	}
}

// TestPQLMethod holds that the method pql is a query and nothing else.
func TestPQLMethod(t *testing.T) {
	service, client := siteIdentities(t)
	server := standIn(t, service, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `[{"certname":%q}]`, r.URL.Query().Get("query"))
	})
	env := &Env{PuppetDB: func(context.Context) PuppetDB { return PuppetDB{Servers: []string{server}, TLS: client.ServiceTLS} }}
	tests := []struct {
		q         Query
		want, err string
	}{
		{Query{Options: map[string]string{"query": "asked"}, Filter: filter.Filter{Agent: []string{"rpcutil"}}}, "asked", ""},
		{Query{}, "", "discovery method pql: no query given: want the option query=PQL"},
		{Query{Options: map[string]string{"query": "asked"}, Filter: filter.Filter{Class: []string{"x"}}}, "",
			"discovery method pql: the option query is the whole question: filters cannot be combined with it"},
	}
	for _, tt := range tests {
		got, err := find(t, "pql", env, tt.q)
		if strings.Join(got, " ") != tt.want || message(err) != tt.err {
			t.Errorf("%+v: %v, %v; want %q, %q", tt.q, got, err, tt.want, tt.err)
		}
	}
}

// TestPuppetDBAnswersAreBounded is about a server that does not end.
func TestPuppetDBAnswersAreBounded(t *testing.T) {
	service, client := siteIdentities(t)
	server := standIn(t, service, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "[")
		row := strings.Repeat(`{"certname":"n","deactivated":"`+strings.Repeat("x", 60_000)+`"},`, 16)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, row); err != nil {
				return
			}
		}
	})
	_, err := PuppetDB{Servers: []string{server}, TLS: client.ServiceTLS, most: 1 << 20}.Nodes(t.Context(), "nodes{}")
	if want := "PuppetDB " + server + ": answer is larger than 1 MiB"; message(err) != want {
		t.Errorf("%q, want %q", message(err), want)
	}
}

func TestPuppetDBErrors(t *testing.T) {
	service, client := siteIdentities(t)
	_, stranger := siteIdentities(t)
	server := standIn(t, service, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[]") })
	_, port, _ := net.SplitHostPort(server)
	tests := []struct {
		name      string
		id        *security.Identity
		servers   []string
		err, hint string // parts of them
	}{
		{"no server", client, nil, "no server of PuppetDB is known", ""},
		{"no port", client, []string{"puppet"}, `PuppetDB "puppet": want host:port`, ""},
		{"another name", client, []string{"localhost:" + port}, "not localhost", "plugin.choria.puppetdb_host"},
		{"another CA", stranger, []string{server}, "unknown authority", "the CA that this client trusts"},
	}
	for _, tt := range tests {
		_, err := PuppetDB{Servers: tt.servers, TLS: tt.id.ServiceTLS}.Nodes(t.Context(), "nodes{}")
		var h interface{ Hint() string }
		if !strings.Contains(message(err), tt.err) || (tt.hint != "") != errors.As(err, &h) || tt.hint != "" && !strings.Contains(h.Hint(), tt.hint) {
			t.Errorf("%s: %v, want %q with hint %q", tt.name, err, tt.err, tt.hint)
		}
		if strings.Contains(message(err), "nodes") {
			t.Errorf("%s: the query is in the message %q", tt.name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (PuppetDB{Servers: []string{server}, TLS: client.ServiceTLS}).Nodes(ctx, "nodes{}"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := find(t, "puppetdb", &Env{}, Query{}); message(err) != "discovery method puppetdb: there is no PuppetDB to ask" {
		t.Errorf("without one: %v", err)
	}
}

func FuzzCertnames(f *testing.F) {
	f.Add(`[{"certname":"a","deactivated":null}]`)
	f.Add(`[{"certname":1}]`)
	f.Add(`[[`)
	f.Fuzz(func(t *testing.T, text string) {
		names, err := certnames(strings.NewReader(text))
		if err != nil {
			return
		}
		type row struct {
			Certname    string
			Deactivated any
		}
		var rows []row
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&rows); err != nil {
			t.Fatalf("%q was accepted: %v", text, err)
		}
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.Deactivated != nil })
		if len(rows) != len(names) {
			t.Errorf("%q: %q", text, names)
		}
	})
}
