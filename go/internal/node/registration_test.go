package node_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/node"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// nodeKeys sign what a node says.
type nodeKeys struct{ keys }

func (nodeKeys) Caller() string { return "choria=n1.example.net" }

// registrations subscribes to subject and returns where the verified requests come.
func registrations(t testing.TB, url, subject string) <-chan *protocol.Request {
	t.Helper()
	conn := connect(t, url)
	got := make(chan *protocol.Request, 100)
	if _, err := conn.Subscribe(subject, "", 0, func(m transport.Msg) {
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		if tr.ReplyTo != "dev.null" || tr.Sender != "n1.example.net" {
			t.Errorf("transport: %+v", tr)
		}
		r, err := protocol.OpenRequest(tr, keys{}, time.Now())
		if err != nil {
			t.Error(err)
			return
		}
		got <- r
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return got
}

func next(t testing.TB, got <-chan *protocol.Request) *protocol.Request {
	t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(patience):
		t.Fatal("nothing is published")
		panic("unreachable")
	}
}

// register is what all these nodes are configured with.
func register(t testing.TB, url string, settings ...string) node.Options {
	t.Helper()
	o := options(t, url, "n1.example.net", append([]string{
		"registration_splay", "false", "registerinterval", "1",
	}, settings...)...)
	o.Signer = nodeKeys{}
	return o
}

type fileBody struct {
	MTime    int64  `json:"mtime"`
	File     string `json:"file"`
	Updated  bool   `json:"updated"`
	Protocol string `json:"protocol"`
	Content  []byte `json:"content"`
	ZContent []byte `json:"zcontent"`
}

// conforms holds what is published against its schema.
func conforms(t testing.TB, schema string, data []byte) {
	t.Helper()
	c := jsonschema.NewCompiler()
	const dir, base = "../../../schemas/registration/v1", "https://choria.io/schemas/choria/registration/v1/"
	for _, name := range []string{"file_content.json", "inventory_content.json", "inventory.json", "../../server/v1/status.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(doc.(map[string]any)["$id"].(string), doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(base + schema)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%s: %v\n%s", schema, err, data)
	}
}

func unzip(t testing.TB, data []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRegistrationKey says at the start that a key cannot sign, and what to do; the node works.
func TestRegistrationKey(t *testing.T) {
	t.Parallel()
	site := labtest.NewSite(t)
	site.Issue(t, pki.Request{Name: "n1.example.net"}) // ECDSA
	o := register(t, labtest.Broker(t), "registration", "inventory_content")
	o.Signer = site.Load(t, "n1.example.net", security.ForServer)
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := node.New(o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"level=ERROR", "registration is configured, and nothing can be published",
		"the certificate has an ECDSA key, requests are signed with RSA", "get a certificate with an RSA key",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
}

func TestFileContent(t *testing.T) {
	t.Parallel() // publications wait for some seconds
	url := labtest.Broker(t)
	file := filepath.Join(t.TempDir(), "facts.yaml")
	changed := time.Now().Add(-time.Hour).Truncate(time.Second)
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file+".new", at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("country: mt\n", changed)
	got := registrations(t, url, "mcollective.broadcast.agent.registration")
	run(t, register(t, url, "registration", "file_content", "plugin.choria.registration.file_content.data", file))

	body := func() (b fileBody) {
		t.Helper()
		r := next(t, got)
		if r.Agent != "registration" || r.Collective != "mcollective" || r.Caller != "choria=n1.example.net" ||
			r.TTL != time.Minute || !r.Filter.Empty() || r.Sender != "n1.example.net" {
			t.Errorf("request: %+v", r)
		}
		if !strings.HasPrefix(string(r.Body), `{"mtime":`) {
			t.Errorf("body: %s", r.Body)
		}
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		conforms(t, "file_content.json", r.Body)
		return b
	}
	first := body()
	if first.Protocol != "choria:registration:filecontent:1" || first.MTime != changed.Unix() || first.File != file || first.Updated ||
		first.Content != nil || unzip(t, first.ZContent) != "country: mt\n" {
		t.Errorf("first: %+v", first)
	}
	if again := body(); again.Updated {
		t.Errorf("again: %+v", again)
	}
	write("country: uk\n", changed.Add(time.Minute))
	deadline := time.Now().Add(patience)
	for {
		b := body()
		if b.Updated {
			if unzip(t, b.ZContent) != "country: uk\n" {
				t.Errorf("updated: %+v", b)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the change is never published")
		}
	}
	if after := body(); after.Updated {
		t.Error("the change is published as new twice")
	}
}

// TestRegistrationOnTargets has the other settings, and two plugins with their own clocks: in the
// peer the second is never published.
func TestRegistrationOnTargets(t *testing.T) {
	t.Parallel() // publications wait for some seconds
	url := labtest.Broker(t)
	file := filepath.Join(t.TempDir(), "facts.yaml")
	if err := os.WriteFile(file, []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, inventories := registrations(t, url, "custom.files"), registrations(t, url, "custom.inventory")
	o := register(t, url,
		"registration", "file_content, inventory_content", "collectives", "mcollective, prod", "registration_collective", "prod",
		"plugin.choria.registration.file_content.data", file, "plugin.choria.registration.file_content.compression", "no",
		"plugin.choria.registration.file_content.target", "custom.files",
		"plugin.choria.registration.inventory_content.target", "custom.inventory",
		"plugin.choria.registration.inventory_content.compression", "no", "ttl", "5",
	)
	o.Facts = func() json.RawMessage { return json.RawMessage(`{"country":"mt"}`) }
	o.Classes = func() []string { return []string{"base"} }
	run(t, o)
	for range 2 {
		var b fileBody
		r := next(t, files)
		if err := json.Unmarshal(r.Body, &b); err != nil || string(b.Content) != "a: 1\n" || b.ZContent != nil {
			t.Errorf("file: %s, %v", r.Body, err)
		}
		if r.Collective != "prod" || r.TTL != 30*time.Second {
			t.Errorf("request: %+v", r)
		}
		var inventory struct {
			Protocol string
			Content  struct {
				Agents      []map[string]any
				Classes     []string
				Facts       map[string]any
				Status      map[string]any
				Collectives []string
				BuildInfo   map[string]string `json:"build_info"`
				Machines    []any
			}
		}
		r = next(t, inventories)
		if err := json.Unmarshal(r.Body, &inventory); err != nil {
			t.Fatal(err)
		}
		conforms(t, "inventory_content.json", r.Body)
		c := inventory.Content
		if inventory.Protocol != "choria:registration:inventorycontent:1" || !slices.Equal(c.Classes, []string{"base"}) || c.Facts["country"] != "mt" ||
			!slices.Equal(c.Collectives, []string{"mcollective", "prod"}) || c.Status["identity"] != "n1.example.net" || c.BuildInfo["version"] == "" ||
			c.Machines == nil || len(c.Agents) != 3 || c.Agents[1]["name"] != "discovery" {
			t.Errorf("inventory: %s", r.Body)
		}
	}
}

// TestSizeTrigger publishes before the interval is over when a file has grown enough.
func TestSizeTrigger(t *testing.T) {
	t.Parallel() // publications wait for some seconds
	url := labtest.Broker(t)
	file := filepath.Join(t.TempDir(), "facts.yaml")
	write := func(n int) {
		t.Helper()
		if err := os.WriteFile(file, bytes.Repeat([]byte("x"), n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(100)
	got := registrations(t, url, "mcollective.broadcast.agent.registration")
	run(t, register(t, url, "registration", "file_content", "plugin.choria.registration.file_content.data", file, "registerinterval", "3600",
		"plugin.choria.registration.size_trigger", "50", "plugin.choria.registration.size_interval", "1"))
	size := func() int {
		t.Helper()
		var b fileBody
		if err := json.Unmarshal(next(t, got).Body, &b); err != nil {
			t.Fatal(err)
		}
		return len(unzip(t, b.ZContent))
	}
	if n := size(); n != 100 {
		t.Errorf("first: %d bytes", n)
	}
	write(120) // too little, alone
	write(160)
	if n := size(); n != 160 {
		t.Errorf("grown: %d bytes", n)
	}
	write(10)
	if n := size(); n != 10 {
		t.Errorf("shrunk: %d bytes", n)
	}
}

// TestNothingToRegister says nothing of a file that is not there or empty, and once that one is no
// file.
func TestNothingToRegister(t *testing.T) {
	t.Parallel() // publications wait for some seconds
	url := labtest.Broker(t)
	dir := t.TempDir()
	got := registrations(t, url, "mcollective.broadcast.agent.registration")
	bad := run(t, register(t, url, "registration", "file_content", "plugin.choria.registration.file_content.data", dir))
	await(t, "it is logged", func() bool { return strings.Contains(bad.log.String(), dir+": not a regular file") })
	if err := bad.stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "later")
	run(t, register(t, url, "registration", "file_content", "plugin.choria.registration.file_content.data", file))
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var b fileBody
	if err := json.Unmarshal(next(t, got).Body, &b); err != nil || unzip(t, b.ZContent) != "x" {
		t.Errorf("published %+v, %v", b, err)
	}
}

func TestRegistrationSettings(t *testing.T) {
	url := labtest.Broker(t)
	o := register(t, url, "registration", "file_content")
	if _, err := node.New(o); err == nil || err.Error() != "registration = file_content: plugin.choria.registration.file_content.data is not set" {
		t.Errorf("without a file: %v", err)
	}
	o = register(t, url, "registration", "inventory_content")
	o.Signer = nil
	if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), "nothing to sign it with") {
		t.Errorf("without a signer: %v", err)
	}
}
