package lifecycle_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/vectors"
	"choria.io/choria/go/lifecycle"
)

// A record is one message as it was captured.
type record struct {
	Subject string `json:"subject"`
	Payload []byte `json:"payload_base64"`
}

func captured(t testing.TB) []record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", "captured", "lifecycle.json"))
	if err != nil {
		t.Fatal(err)
	}
	var records []record
	if err := json.Unmarshal(data, &records); err != nil || len(records) == 0 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	return records
}

// Events of real peers are read and written back byte for byte.
func TestCaptured(t *testing.T) {
	for i, r := range captured(t) {
		e, err := lifecycle.Decode(r.Payload)
		if err != nil {
			t.Errorf("record %d: %v", i, err)
			continue
		}
		if got := lifecycle.Subject(e); got != r.Subject {
			t.Errorf("record %d: subject %q, want %q", i, got, r.Subject)
		}
		encode := lifecycle.Encode
		if !strings.Contains(string(r.Payload), "specversion") {
			encode = lifecycle.EncodeBare
		}
		if got, err := encode(e); err != nil || string(got) != string(r.Payload) {
			t.Errorf("record %d: encoded %s, %v\nwant %s", i, got, err, r.Payload)
		}
	}
}

func TestAllTypes(t *testing.T) {
	tests := []struct {
		set  func(*lifecycle.Event)
		typ  lifecycle.Type
		want string // the members of the type
	}{
		{func(e *lifecycle.Event) { e.Version = "1" }, lifecycle.Startup, `,"version":"1"`},
		{func(e *lifecycle.Event) { e.Version = "1" }, lifecycle.Alive, `,"version":"1"`},
		{func(e *lifecycle.Event) {}, lifecycle.Shutdown, ``},
		{func(e *lifecycle.Event) {}, lifecycle.Provisioned, ``},
		{func(e *lifecycle.Event) { e.Version, e.NewVersion = "1", "2" }, lifecycle.Upgraded, `,"version":"1","new_version":"2"`},
		{func(e *lifecycle.Event) { e.Governor, e.Sequence, e.GovernorEvent = "puppet", 5, lifecycle.Eviction }, lifecycle.Governor, `,"governor":"puppet","sequence":5,"event_type":"eviction"`},
	}
	for _, tt := range tests {
		before := time.Now().Truncate(time.Second)
		e := lifecycle.New(tt.typ, "n<1>", "server")
		tt.set(&e)
		if e.Time.Before(before) || e.Time.After(time.Now()) || e.Time.Location() != time.UTC || len(e.ID) != 36 {
			t.Errorf("%s: time %s, id %q", tt.typ, e.Time, e.ID)
		}
		bare := fmt.Sprintf(`{"protocol":"io.choria.lifecycle.v1.%s","id":"%s","identity":"n<1>","component":"server","timestamp":%d%s}`, tt.typ, e.ID, e.Time.Unix(), tt.want)
		cloud := fmt.Sprintf(`{"specversion":"1.0","id":"%s","source":"io.choria.lifecycle","type":"io.choria.lifecycle.v1.%s","subject":"n<1>","datacontenttype":"application/json","time":"%s","data":%s}`,
			e.ID, tt.typ, e.Time.Format(time.RFC3339), bare)
		if got, err := lifecycle.EncodeBare(e); err != nil || string(got) != bare {
			t.Errorf("EncodeBare(%s) = %s, %v\nwant %s", tt.typ, got, err, bare)
		}
		if got, err := lifecycle.Encode(e); err != nil || string(got) != cloud {
			t.Errorf("Encode(%s) = %s, %v\nwant %s", tt.typ, got, err, cloud)
		}
		of2018 := strings.Replace(bare, "io.choria.lifecycle.v1."+string(tt.typ), "choria:lifecycle:"+string(tt.typ)+":1", 1)
		for _, in := range []string{bare, cloud, of2018} {
			if got, err := lifecycle.Decode([]byte(in)); err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("Decode(%s) = %+v, %v; want %+v", in, got, err, e)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	bare := `{"protocol":"io.choria.lifecycle.v1.startup","id":"1","identity":"n1","component":"server","timestamp":1}`
	if _, err := lifecycle.Decode([]byte(bare)); err != nil {
		t.Fatal(err)
	}
	cloud := `{"specversion":"1.0","id":"1","source":"io.choria.lifecycle","type":"io.choria.lifecycle.v1.startup","data":` + bare + `}`
	if _, err := lifecycle.Decode([]byte(cloud)); err != nil {
		t.Fatal(err)
	}
	change := func(in, from, to string) string {
		if !strings.Contains(in, from) {
			t.Fatalf("no %q in %s", from, in)
		}
		return strings.Replace(in, from, to, 1)
	}
	for in, want := range map[string]string{
		``:                                   "lifecycle event: unexpected end of JSON input",
		`null`:                               `lifecycle event: unknown protocol ""`,
		`{}`:                                 `lifecycle event: unknown protocol ""`,
		change(bare, "startup", "explosion"): `lifecycle event: unknown protocol "io.choria.lifecycle.v1.explosion"`,
		change(bare, "io.choria.lifecycle.v1.startup", "choria:lifecycle:startup:2"): `lifecycle event: unknown protocol "choria:lifecycle:startup:2"`,
		change(bare, `"n1"`, `""`):                                                                  `lifecycle event: no identity`,
		change(bare, `"id":"1",`, ``):                                                               `lifecycle event: no id`,
		change(bare, `"server"`, `"a.>"`):                                                           `lifecycle event: component "a.>": want a word without dots, spaces and wildcards`,
		change(bare, `"timestamp":1`, `"timestamp":-1`):                                             `lifecycle event: time -1 is out of range`,
		change(bare, `"timestamp":1`, `"timestamp":253402300800`):                                   `lifecycle event: time 253402300800 is out of range`,
		change(bare, "startup", "governor"):                                                         `lifecycle event: no governor`,
		change(change(bare, "startup", "governor"), `"id"`, `"governor":"g","event_type":"x","id"`): `lifecycle event: unknown governor event "x"`,
		change(cloud, `"1.0"`, `"2.0"`):                                                             `lifecycle event: CloudEvents version "2.0", want 1.0`,
		change(cloud, `"io.choria.lifecycle"`, `"io.choria.machine"`):                               `lifecycle event: source "io.choria.machine", want io.choria.lifecycle`,
		change(cloud, `v1.startup`, `v1.alive`):                                                     `lifecycle event: type "io.choria.lifecycle.v1.alive" around protocol "io.choria.lifecycle.v1.startup"`,
		change(cloud, `,"data":`+bare, ``):                                                          `lifecycle event: no data`,
		strings.Repeat(" ", lifecycle.MaxSize) + bare:                                               fmt.Sprintf(`lifecycle event: %d bytes, want at most %d`, lifecycle.MaxSize+len(bare), lifecycle.MaxSize),
	} {
		if _, err := lifecycle.Decode([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("Decode(%.200s) = %v, want %s", in, err, want)
		}
	}
	for _, e := range []lifecycle.Event{{}, lifecycle.New("x", "n1", "server"), lifecycle.New(lifecycle.Startup, "", "server"), lifecycle.New(lifecycle.Startup, "n1", "a b"), lifecycle.New(lifecycle.Governor, "n1", "server")} {
		if got, err := lifecycle.Encode(e); err == nil {
			t.Errorf("Encode(%+v) = %s, want an error", e, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, r := range captured(f) {
		f.Add(r.Payload)
	}
	f.Add([]byte(`{"protocol":"choria:lifecycle:governor:1","id":"1","identity":"n","component":"s","timestamp":1,"governor":"g","sequence":1,"event_type":"exit"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := lifecycle.Decode(data)
		if err != nil {
			return
		}
		for _, encode := range []func(lifecycle.Event) ([]byte, error){lifecycle.Encode, lifecycle.EncodeBare} {
			out, err := encode(e)
			if err != nil {
				t.Fatalf("%s decodes but does not encode: %v", base64.StdEncoding.EncodeToString(data), err)
			}
			again, err := lifecycle.Decode(out)
			if err != nil || lifecycle.Subject(again) != lifecycle.Subject(e) || again.ID != e.ID || !again.Time.Equal(e.Time) {
				t.Fatalf("%s came back as %s, %v", data, out, err)
			}
		}
	})
}
