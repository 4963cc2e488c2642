package protocol_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/vectors"
	"choria.io/choria/go/lifecycle"
)

const (
	schemaDir = "../../../schemas"
	schemaURL = "https://choria.io/schemas/choria/"
)

// A schemas knows all schema files by the path behind schemaURL.
type schemas struct {
	text     map[string]any
	compiled map[string]*jsonschema.Schema
}

func loadSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{map[string]any{}, map[string]*jsonschema.Schema{}}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	err := filepath.WalkDir(schemaDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name, err := filepath.Rel(schemaDir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		s.text[name] = doc
		return c.AddResource(schemaURL+name, doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.text {
		if s.compiled[name], err = c.Compile(schemaURL + name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(s.text) < 14 {
		t.Fatalf("%d schemas, want all 14", len(s.text))
	}
	return s
}

// check validates the JSON text data.
func (s *schemas) check(name string, data []byte) error {
	schema := s.compiled[name]
	if schema == nil {
		return fmt.Errorf("no schema %s", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

// TestSchemas holds each schema against its examples, and against them with one thing wrong.
func TestSchemas(t *testing.T) {
	s := loadSchemas(t)
	for name, doc := range s.text {
		top := doc.(map[string]any)
		if top["$id"] != schemaURL+name || top["$schema"] != "https://json-schema.org/draft/2020-12/schema" || top["title"] == nil || top["description"] == nil {
			t.Errorf("%s: $id %v, $schema %v, title %v; want the path, 2020-12 and a title and description", name, top["$id"], top["$schema"], top["title"])
		}
		examples, _ := top["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("%s: no examples", name)
		}
		for i, example := range examples {
			if err := s.compiled[name].Validate(example); err != nil {
				t.Errorf("%s, example %d: %v", name, i, err)
			}
			object := example.(map[string]any)
			for _, member := range top["required"].([]any) {
				broken := maps.Clone(object)
				delete(broken, member.(string))
				if s.compiled[name].Validate(broken) == nil {
					t.Errorf("%s, example %d: valid without %v", name, i, member)
				}
			}
			s.mutate(t, name, fmt.Sprintf("example %d", i), top, object, func(broken map[string]any) error {
				return s.compiled[name].Validate(broken)
			})
		}
	}
}

// mutate gives each member of object that schema describes a wrong type, at every depth.
func (s *schemas) mutate(t *testing.T, name, path string, schema, object map[string]any, validate func(map[string]any) error) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	for member, value := range object {
		property, ok := properties[member].(map[string]any)
		if !ok {
			continue
		}
		broken := maps.Clone(object)
		for _, wrong := range []any{nil, true, "", json.Number("-1"), json.Number("1.5"), []any{true}, map[string]any{"x": true}} {
			if fits(property, wrong) {
				continue
			}
			broken[member] = wrong
			if validate(broken) == nil {
				t.Errorf("%s, %s: valid with %s = %v", name, path, member, wrong)
			}
		}
		if inner, ok := value.(map[string]any); ok {
			s.mutate(t, name, path+"."+member, property, inner, func(changed map[string]any) error {
				broken[member] = changed
				return validate(broken)
			})
		}
	}
}

// fits reports whether a wrong value of mutate may be right for a property.
func fits(property map[string]any, value any) bool {
	switch kind, _ := property["type"].(string); kind {
	case "string":
		text, ok := value.(string)
		least, _ := property["minLength"].(json.Number)
		return ok && text == "" && least == "" && property["pattern"] == nil && property["format"] == nil
	case "integer", "number":
		n, ok := value.(json.Number)
		return ok && (n == "-1" || kind == "number") && (property["minimum"] == nil || n != "-1")
	case "boolean":
		return value == true
	case "object":
		_, ok := value.(map[string]any)
		return ok && property["required"] == nil
	}
	// const and enum take none of them; a reference, and what has no type, may.
	return property["const"] == nil && property["enum"] == nil && property["type"] == nil && property["$ref"] == nil
}

// TestSchemasRefuse has what the examples do not show.
func TestSchemasRefuse(t *testing.T) {
	s := loadSchemas(t)
	const filter = `"fact":[],"cf_class":[],"agent":[],"identity":[]`
	tests := []struct{ name, doc string }{
		{"protocol/v1/transport.json", `{"protocol":"choria:transport:1","data":"e30=","headers":null}`},
		{"protocol/v1/transport.json", `{"protocol":"choria:transport:1","data":"!","headers":{}}`},
		{"protocol/v1/transport.json", `{"protocol":"choria:transport:1","data":"e30=","headers":{"seen-by":["a"]}}`},
		{"protocol/v1/transport.json", `{"protocol":"choria:transport:1","data":"e30=","headers":{"federation":{"target":[1]}}}`},
		{"protocol/v1/filter.json", `{` + filter + `,"compound":["x"]}`},
		{"protocol/v1/filter.json", `{` + filter + `,"compound":[["x"]]}`},
		{"protocol/v1/filter.json", `{` + filter + `,"compound":null}`},
		{"protocol/v1/filter.json", `{"fact":[{"fact":"a","operator":"~","value":"b"}],"cf_class":[],"identity":[],"compound":[]}`},
		{"protocol/v1/filter.json", `{"fact":[{"fact":"","operator":"==","value":"b"}],"cf_class":[],"identity":[],"compound":[]}`},
		{"protocol/v1/filter.json", `{"fact":[],"cf_class":[1],"identity":[],"compound":[]}`},
		{"rpc/v1/reply.json", `{"statuscode":6,"statusmsg":"x","data":{}}`},
		{"rpc/v1/request.json", `{"agent":"a","action":"b","data":[]}`},
		{"lifecycle/v1/event.json", `{"protocol":"io.choria.lifecycle.v1.startup","id":"a","identity":"b","component":"c","timestamp":1}`},
		{"lifecycle/v1/event.json", `{"protocol":"io.choria.lifecycle.v1.governor","id":"a","identity":"b","component":"c","timestamp":1,"governor":"g"}`},
		{"lifecycle/v1/event.json", `{"protocol":"io.choria.lifecycle.v1.nosuch","id":"a","identity":"b","component":"c","timestamp":1}`},
		{"registration/v1/file_content.json", `{"protocol":"choria:registration:filecontent:1","mtime":1,"file":"f","updated":true}`},
		{"registration/v1/file_content.json", `{"protocol":"choria:registration:filecontent:1","mtime":1,"file":"f","updated":true,"content":"AA==","zcontent":"AA=="}`},
		{"registration/v1/inventory_content.json", `{"protocol":"choria:registration:inventorycontent:1"}`},
		{"registration/v1/inventory_content.json", `{"protocol":"choria:registration:inventorycontent:1","content":{}}`},
		{"adapters/v1/output.json", `{"protocol":"choria:adapters:choria_streams:output:1","data":"","sender":"a","time":"today","requestid":"b"}`},
	}
	for _, tt := range tests {
		if err := s.check(tt.name, []byte(tt.doc)); err == nil {
			t.Errorf("%s: valid: %s", tt.name, tt.doc)
		}
	}
}

// layers validates each layer of a payload of protocol 1, the body of the last included, and
// returns how many there were.
func (s *schemas) layers(payload []byte) (int, error) {
	if err := s.check("protocol/v1/transport.json", payload); err != nil {
		return 0, err
	}
	var tr struct{ Data string }
	if err := json.Unmarshal(payload, &tr); err != nil {
		return 0, err
	}
	data, err := base64.StdEncoding.DecodeString(tr.Data)
	if err != nil {
		return 1, err
	}
	var secure struct{ Protocol, Message string }
	if err := json.Unmarshal(data, &secure); err != nil {
		return 1, err
	}
	kind := "request"
	if secure.Protocol == "choria:secure:reply:1" {
		kind = "reply"
	}
	if err := s.check("protocol/v1/secure_"+kind+".json", data); err != nil {
		return 1, err
	}
	if err := s.check("protocol/v1/"+kind+".json", []byte(secure.Message)); err != nil {
		return 2, err
	}
	var inner struct {
		Message  string
		Envelope struct{ Agent string }
	}
	if err := json.Unmarshal([]byte(secure.Message), &inner); err != nil {
		return 3, err
	}
	if inner.Envelope.Agent == "discovery" {
		return 3, nil
	}
	return 4, s.body(inner.Envelope.Agent, kind, []byte(inner.Message))
}

// body validates the body of a request or reply.
func (s *schemas) body(agent, kind string, body []byte) error {
	if agent != "registration" {
		return s.check("rpc/v1/"+kind+".json", body)
	}
	var reg struct{ Protocol, ZContent string }
	if err := json.Unmarshal(body, &reg); err != nil {
		return err
	}
	if strings.Contains(reg.Protocol, "filecontent") {
		return s.check("registration/v1/file_content.json", body)
	}
	if err := s.check("registration/v1/inventory_content.json", body); err != nil || reg.ZContent == "" {
		return err
	}
	packed, err := base64.StdEncoding.DecodeString(reg.ZContent)
	if err != nil {
		return err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	inventory, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return s.check("registration/v1/inventory.json", inventory)
}

// TestSchemasCaptured holds the schemas against all that real programs sent.
func TestSchemasCaptured(t *testing.T) {
	s := loadSchemas(t)
	kinds := map[int]int{}
	for _, name := range append(captured(t), "ruby.json") {
		for i, r := range load(t, name) {
			var err error
			switch {
			case strings.HasPrefix(r.Subject, "choria.lifecycle"):
				kind := "cloudevent"
				if !bytes.Contains(r.Payload, []byte("specversion")) {
					kind = "event"
				}
				err = s.check("lifecycle/v1/"+kind+".json", r.Payload)
			case bytes.Contains(r.Payload, []byte("choria:adapters:")):
				err = s.check("adapters/v1/output.json", r.Payload)
			default:
				var n int
				n, err = s.layers(r.Payload)
				kinds[n]++
			}
			if err != nil {
				t.Errorf("%s %d: %v", name, i, err)
			}
		}
	}
	if kinds[3] < 20 || kinds[4] < 30 {
		t.Errorf("%d discovery and %d other messages, want more", kinds[3], kinds[4])
	}
	for _, name := range []string{"server_status_v1.json", "server_status_v2.json"} {
		data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "status", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check("server/v1/status.json", data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemasCrafted holds the decoder against the schemas: each refuses what the other refuses.
func TestSchemasCrafted(t *testing.T) {
	s := loadSchemas(t)
	for _, r := range load(t, "crafted.json") {
		n, schemaErr := s.layers(r.Payload)
		if n == 4 {
			schemaErr = nil // the body is not for the decoder to judge
		}
		tr, err := protocol.DecodeTransport(r.Payload)
		if err == nil {
			_, err = protocol.OpenRequest(tr, trusting{}, made)
		}
		if r.Name == "headers missing" {
			if schemaErr == nil || err != nil {
				t.Errorf("%s: %v, by schema %v; want it tolerated", r.Name, err, schemaErr)
			}
			continue
		}
		if (err == nil) != (schemaErr == nil) {
			t.Errorf("%s: %v, by schema %v", r.Name, err, schemaErr)
		}
	}
}

// TestSchemasOurs holds the schemas against what we send.
func TestSchemasOurs(t *testing.T) {
	s := loadSchemas(t)
	req := newRequest()
	for _, body := range []string{`{"agent":"rpcutil","action":"ping","data":{}}`, `{"agent":"rpcutil","action":"ping"}`} {
		req.Body = []byte(body)
		for _, tr := range []*protocol.Transport{
			{Version: protocol.V1, Data: seal(t, req)},
			{Version: protocol.V1, Data: seal(t, req), ReplyTo: "r", Sender: "s", Hops: []protocol.Hop{{"a", "b", "c"}},
				Federation: &protocol.Federation{RequestID: req.ID, ReplyTo: "r", Targets: []string{"t"}}},
		} {
			payload, err := tr.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := s.layers(payload); n != 4 || err != nil {
				t.Errorf("%s: layer %d: %v", payload, n, err)
			}
		}
	}
	payload, err := encodeReply(req, made)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.layers(payload); n != 4 || err != nil {
		t.Errorf("%s: layer %d: %v", payload, n, err)
	}

	for _, kind := range []lifecycle.Type{lifecycle.Startup, lifecycle.Shutdown, lifecycle.Alive, lifecycle.Provisioned, lifecycle.Upgraded, lifecycle.Governor} {
		e := lifecycle.New(kind, "n1.example.net", lifecycle.Server)
		switch kind {
		case lifecycle.Startup, lifecycle.Alive:
			e.Version = "1.0.0"
		case lifecycle.Upgraded:
			e.Version, e.NewVersion = "1.0.0", "1.1.0"
		case lifecycle.Governor:
			e.Governor, e.Sequence, e.GovernorEvent = "puppet", 1, lifecycle.Enter
		}
		for schema, encode := range map[string]func(lifecycle.Event) ([]byte, error){
			"lifecycle/v1/cloudevent.json": lifecycle.Encode, "lifecycle/v1/event.json": lifecycle.EncodeBare,
		} {
			data, err := encode(e)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.check(schema, data); err != nil {
				t.Errorf("%s: %v", data, err)
			}
		}
	}
}
