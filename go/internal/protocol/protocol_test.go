package protocol_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/protocol"
)

// sealer signs with a checksum, for tests that are not about signatures.
type sealer struct{ err error }

func (s sealer) Sign(message []byte) (signature, cert []byte, err error) {
	sum := sha256.Sum256(message)
	return sum[:], []byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), s.err
}

func (s sealer) Verify(message, signature, cert []byte, caller string, now time.Time) error {
	sum := sha256.Sum256(message)
	if s.err != nil {
		return s.err
	}
	if !bytes.Equal(signature, sum[:]) {
		return errors.New("bad signature")
	}
	return nil
}

var made = time.Unix(1795351213, 0)

func newRequest() *protocol.Request {
	return &protocol.Request{
		Version: protocol.V1, ID: "3c3e07cb388e4829aff38451ff4556e8", Sender: "workstation.example.net", Caller: "choria=rip.mcollective",
		Collective: "mcollective", Agent: "rpcutil", Time: made, TTL: time.Minute,
		Filter: filter.Filter{Agent: []string{"rpcutil"}, Fact: []filter.Fact{{Name: "os.family", Operator: "==", Value: "RedHat"}}},
		Body:   []byte(`{"agent":"rpcutil","action":"ping","data":{}}`),
	}
}

func seal(t testing.TB, r *protocol.Request) []byte {
	t.Helper()
	data, err := protocol.SealRequest(r, sealer{})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRequest(t *testing.T) {
	r := newRequest()
	data := seal(t, r)

	// Exactly the members that old receivers allow, in the order of real messages.
	var secure struct{ Protocol, Message, Signature, Pubcert string }
	strict(t, data, &secure)
	const want = `{"protocol":"choria:request:1","message":"{\"agent\":\"rpcutil\",\"action\":\"ping\",\"data\":{}}","envelope":{"requestid":"3c3e07cb388e4829aff38451ff4556e8","senderid":"workstation.example.net","callerid":"choria=rip.mcollective","collective":"mcollective","agent":"rpcutil","ttl":60,"time":1795351213,"filter":{"fact":[{"fact":"os.family","operator":"==","value":"RedHat"}],"cf_class":[],"agent":["rpcutil"],"identity":[],"compound":[]}}}`
	if secure.Message != want {
		t.Errorf("request\n%s\nwant\n%s", secure.Message, want)
	}

	tr := &protocol.Transport{
		Version: protocol.V1, ReplyTo: "mcollective.reply.x", Sender: "me", Data: data, Hops: []protocol.Hop{{"a", "b", "c"}, {"d", "e"}},
		Federation: &protocol.Federation{RequestID: r.ID, ReplyTo: "orig", Targets: []string{"t1", "t2"}},
	}
	payload, err := tr.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := protocol.DecodeTransport(payload)
	if err != nil || !reflect.DeepEqual(again, tr) {
		t.Fatalf("transport %+v came back as %+v, %v", tr, again, err)
	}
	got, err := protocol.OpenRequest(again, sealer{}, made)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != sha256.Sum256([]byte(want)) {
		t.Error("the digest is not that of the signed bytes")
	}
	got.Digest = r.Digest
	if got.Filter.Class, got.Filter.Identity = nil, nil; !reflect.DeepEqual(got, r) {
		t.Errorf("request %+v came back as %+v", r, got)
	}

	if _, err := protocol.OpenRequest(again, sealer{errors.New("revoked")}, made); message(err) != `request "3c3e07cb388e4829aff38451ff4556e8": revoked` {
		t.Error(err)
	}
	if _, err := protocol.SealRequest(r, sealer{errors.New("no key")}); message(err) != "sign request: no key" {
		t.Error(err)
	}
}

// strict decodes what must have no other members than to.
func strict(t *testing.T, data []byte, to any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		t.Fatal(err)
	}
}

func TestTransportHeaders(t *testing.T) {
	const data = `"e30="`
	tests := []struct {
		headers string
		want    protocol.Transport
		err     string
	}{
		{`{}`, protocol.Transport{}, ""},
		{`null`, protocol.Transport{}, ""},
		{`{"reply-to":"r","mc_sender":"s","x":{}}`, protocol.Transport{ReplyTo: "r", Sender: "s"}, ""},
		{`{"reply-to":null,"seen-by":null,"federation":null}`, protocol.Transport{}, ""},
		{`{"seen-by":[]}`, protocol.Transport{}, ""},
		{`{"seen-by":[["a"],["a","b"],[],["a","b","c","d"],null]}`, protocol.Transport{Hops: []protocol.Hop{{"a"}, {"a", "b"}, nil, {"a", "b", "c", "d"}, nil}}, ""},
		{`{"federation":{}}`, protocol.Transport{Federation: &protocol.Federation{}}, ""},
		{`{"federation":{"req":"i","reply-to":"r","target":["a","b"],"targets":["no"]}}`, protocol.Transport{Federation: &protocol.Federation{RequestID: "i", ReplyTo: "r", Targets: []string{"a", "b"}}}, ""},
		{`[]`, protocol.Transport{}, "transport: headers: json: want an object, got '['"},
		{`"x"`, protocol.Transport{}, "transport: headers: json: want an object, got '\"'"},
		{`{"reply-to":1}`, protocol.Transport{}, "transport: headers: reply-to: json: want a string, got '1'"},
		{`{"reply-to":"a","reply-to":"b"}`, protocol.Transport{}, `transport: headers: json: member "reply-to" stands twice`},
		{`{"seen-by":["a"]}`, protocol.Transport{}, "transport: headers: seen-by: json: want an array, got '\"'"},
		{`{"seen-by":[[1]]}`, protocol.Transport{}, "transport: headers: seen-by: json: want a string, got '1'"},
		{`{"seen-by":[` + strings.Repeat("[],", 256) + `[]]}`, protocol.Transport{}, "transport: headers: seen-by: more than 256"},
		{`{"seen-by":[[` + strings.Repeat(`"",`, 16) + `""]]}`, protocol.Transport{}, "transport: headers: seen-by: more than 16"},
		{`{"federation":{"target":[` + strings.Repeat(`"",`, 1000) + `""]}}`, protocol.Transport{}, "transport: headers: federation: target: more than 1000"},
		{`{"federation":[]}`, protocol.Transport{}, "transport: headers: federation: json: want an object, got '['"},
	}
	for _, tt := range tests {
		for _, payload := range []string{
			`{"protocol":"choria:transport:1","data":` + data + `,"headers":` + tt.headers + `}`,
			` {"x":[1],"headers": ` + tt.headers + ` , "data":` + data + `,"protocol":"choria:transport:1"} `,
		} {
			got, err := protocol.DecodeTransport([]byte(payload))
			if message(err) != tt.err {
				t.Errorf("%.80s: %q, want %q", tt.headers, message(err), tt.err)
			}
			if err != nil {
				continue
			}
			want := tt.want
			want.Version, want.Data = protocol.V1, []byte("{}")
			if fmt.Sprintf("%+v %+v", got, got.Federation) != fmt.Sprintf("%+v %+v", &want, want.Federation) && !reflect.DeepEqual(got, &want) {
				t.Errorf("%s: %+v, want %+v", tt.headers, got, &want)
			}
		}
	}
}

func TestTransportRefused(t *testing.T) {
	tests := []struct{ payload, err string }{
		{``, "transport: json: unexpected end"},
		{`null`, "transport: json: want an object, got 'n'"},
		{`{}`, `transport: no member "protocol"`},
		{`{"protocol":"choria:transport:1"}`, "transport: no data"},
		{`{"protocol":"choria:transport:1","data":""}`, "transport: no data"},
		{`{"protocol":"choria:transport:1","data":"e"}`, "transport: data: illegal base64 data"},
		{`{"protocol":"choria:transport:1","data":"e30"}`, "transport: data: illegal base64 data"},
		{`{"protocol":"choria:transport:1","data":"e30=","data":"e30="}`, `transport: json: member "data" stands twice`},
		{`{"protocol":"choria:transport:1","data":"e30="}x`, "transport: json: want the end, got 'x'"},
		{`{"protocol":"choria:transport:2","data":"e30="}`, `transport: protocol version not supported: "choria:transport:2"`},
		{`{"protocol":"io.choria.protocol.v2.transport","data":"e30="}`, "transport: protocol version not supported: 2"},
		{`{"protocol":"` + strings.Repeat("x", 100) + `","data":"e30="}`, `transport: protocol version not supported: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"`},
	}
	for _, tt := range tests {
		if _, err := protocol.DecodeTransport([]byte(tt.payload)); message(err) != tt.err {
			t.Errorf("%s: %q, want %q", tt.payload, message(err), tt.err)
		}
	}
	if _, err := protocol.DecodeTransport(make([]byte, protocol.MaxTransport+1)); message(err) != "transport: 16777217 bytes, more than 16777216" {
		t.Error(err)
	}
	// Line breaks in base64 do not count, escaped or not, wherever they stand.
	tr, err := protocol.DecodeTransport([]byte(`{"protocol":"choria:transport:1","data":"e3\n0\r\n=\n"}`))
	if err != nil || string(tr.Data) != "{}" {
		t.Errorf("%+v, %v", tr, err)
	}

	for _, tr := range []*protocol.Transport{{Data: []byte("{}")}, {Version: protocol.V2, Data: []byte("{}")}, {Version: protocol.V1}} {
		if payload, err := tr.Encode(); err == nil {
			t.Errorf("%+v encoded as %s", tr, payload)
		}
	}
}

// edit returns the secure request of newRequest with old replaced by new in the signed bytes.
func edit(t *testing.T, old, new string) []byte {
	t.Helper()
	var secure map[string]string
	if err := json.Unmarshal(seal(t, newRequest()), &secure); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(secure["message"], old) {
		t.Fatalf("no %s in %s", old, secure["message"])
	}
	secure["message"] = strings.Replace(secure["message"], old, new, 1)
	sum := sha256.Sum256([]byte(secure["message"]))
	secure["signature"] = base64.StdEncoding.EncodeToString(sum[:])
	data, err := json.Marshal(secure)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRequestRefused(t *testing.T) {
	tests := []struct{ old, new, err string }{
		{`"ttl":60`, `"ttl":29`, "request: the ttl is 29s, less than 30 s"},
		{`"ttl":60`, `"ttl":-60`, "request: the ttl is 0s, less than 30 s"},
		{`"ttl":60`, `"ttl":60.5`, "request: envelope: ttl: json: 60.5 is no integer"},
		{`"ttl":60`, `"ttl":"60"`, "request: envelope: ttl: json: want an integer, got '\"'"},
		{`"ttl":60`, `"ttl":2147483648`, "request: envelope: ttl: 2147483648 seconds, more than 2147483647"},
		{`"ttl":60,`, ``, `request: envelope: no member "ttl"`},
		{`"ttl":60`, `"ttl":60,"ttl":61`, `request: envelope: json: member "ttl" stands twice`},
		{`"time":1795351213`, `"time":1795351213.5`, "request: envelope: time: json: 1795351213.5 is no integer"},
		{`"time":1795351213`, `"time":null`, "request: envelope: time: json: want an integer, got 'n'"},
		{`"time":1795351213`, `"time":99999999999999999999`, "request: envelope: time: json: 99999999999999999999 is out of range"},
		{`3c3e07cb388e4829aff38451ff4556e8`, `3c3e07cb388e4829aff38451ff4556e`, `request: the id "3c3e07cb388e4829aff38451ff4556e" has not 32 characters`},
		{`3c3e07cb388e4829aff38451ff4556e8`, `3c3e07cb388e4829aff38451ff4556e88`, `request: the id "3c3e07cb388e4829aff38451ff4556e88" has not 32 characters`},
		{`"choria=rip.mcollective"`, `""`, "request: the caller is empty"},
		{`"choria=rip.mcollective"`, `null`, "request: envelope: callerid: json: want a string, got 'n'"},
		{`"collective":"mcollective"`, `"collective":""`, "request: the collective is empty"},
		{`"agent":"rpcutil","ttl"`, `"agent":"","ttl"`, "request: the agent is empty"},
		{`"senderid":"workstation.example.net",`, ``, `request: envelope: no member "senderid"`},
		{`"compound":[]`, `"compound":null`, "request: envelope: filter: compound: json: want an array, got 'n'"},
		{`"operator":"=="`, `"operator":"~"`, `request: envelope: filter: fact filter of "os.family": no operator "~", there are >= <= < > != == =~`},
		{`choria:request:1`, `choria:request:2`, `request: protocol is "choria:request:2"`},
		{`choria:request:1`, `mcollective:request:3`, `request: protocol is "mcollective:request:3"`},
		{`"message":`, `"massage":`, `request: no member "message"`},
		{`"envelope":{`, `"envelope":[`, "request: envelope: json: want an object, got '['"},
	}
	for _, tt := range tests {
		tr := &protocol.Transport{Version: protocol.V1, Data: edit(t, tt.old, tt.new)}
		if _, err := protocol.OpenRequest(tr, sealer{}, made); message(err) != tt.err {
			t.Errorf("%s: %q, want %q", tt.new, message(err), tt.err)
		}
	}

	accepted := []struct{ old, new string }{
		{`"ttl":60`, `"ttl":30`},
		{`"ttl":60`, `"x":{"ttl":1},"ttl":1000000`},
		{`3c3e07cb388e4829aff38451ff4556e8`, strings.Repeat("é", 32)},
		{`"senderid":"workstation.example.net"`, `"senderid":""`},
		{`"agent":["rpcutil"],`, ``},
	}
	for _, tt := range accepted {
		tr := &protocol.Transport{Version: protocol.V1, Data: edit(t, tt.old, tt.new)}
		if _, err := protocol.OpenRequest(tr, sealer{}, made); err != nil {
			t.Errorf("%s: %v", tt.new, err)
		}
	}
}

func TestSecureRequestRefused(t *testing.T) {
	good := string(seal(t, newRequest()))
	tests := []struct{ old, new, err string }{
		{`choria:secure:request:1`, `choria:secure:request:2`, `secure request: protocol is "choria:secure:request:2"`},
		{`choria:secure:request:1`, `choria:secure:reply:1`, `secure request: protocol is "choria:secure:reply:1"`},
		{`"pubcert":`, `"cert":`, `secure request: no member "pubcert"`},
		{`"signature":"`, `"signature":"","x":"`, "secure request: signature: empty"},
		{`"signature":"`, `"signature":"!`, "secure request: signature: illegal base64 data"},
		{`"message":`, `"message":"","x":`, "secure request: message: empty"},
		{`"message":`, `"message":{},"x":`, "secure request: message: json: want a string, got '{'"},
	}
	for _, tt := range tests {
		tr := &protocol.Transport{Version: protocol.V1, Data: []byte(strings.Replace(good, tt.old, tt.new, 1))}
		if _, err := protocol.OpenRequest(tr, sealer{}, made); message(err) != tt.err {
			t.Errorf("%s: %q, want %q", tt.new, message(err), tt.err)
		}
	}
	tampered := strings.Replace(good, `\"ttl\":60`, `\"ttl\":61`, 1)
	if _, err := protocol.OpenRequest(&protocol.Transport{Version: protocol.V1, Data: []byte(tampered)}, sealer{}, made); err == nil || !strings.Contains(err.Error(), "bad signature") {
		t.Error(err)
	}
	// How the bytes are escaped makes no difference to what was signed.
	escaped := strings.Replace(good, `choria:request:1`, `\u0063horia:request:1`, 1)
	if _, err := protocol.OpenRequest(&protocol.Transport{Version: protocol.V1, Data: []byte(escaped)}, sealer{}, made); err != nil {
		t.Error(err)
	}
}

func TestSealRefused(t *testing.T) {
	tests := []struct {
		change func(*protocol.Request)
		err    string
	}{
		{func(r *protocol.Request) { r.Version = 0 }, "protocol version not supported: 0"},
		{func(r *protocol.Request) { r.Version = protocol.V2 }, "protocol version not supported: 2"},
		{func(r *protocol.Request) { r.ID = "" }, `request: the id "" has not 32 characters`},
		{func(r *protocol.Request) { r.Caller = "" }, "request: the caller is empty"},
		{func(r *protocol.Request) { r.TTL = 0 }, "request: the ttl is 0s, less than 30 s"},
		{func(r *protocol.Request) { r.Body = nil }, "request: the body is empty"},
		{func(r *protocol.Request) { r.Filter.Fact[0].Value = "" }, `request: fact filter "os.family=": the value is empty`},
	}
	for _, tt := range tests {
		r := newRequest()
		tt.change(r)
		if _, err := protocol.SealRequest(r, sealer{}); message(err) != tt.err {
			t.Errorf("%q, want %q", message(err), tt.err)
		}
	}
	// A ttl that the wire cannot hold is rounded up, or the request could expire too early.
	r := newRequest()
	r.TTL = 30*time.Second + 1
	if data := seal(t, r); !bytes.Contains(data, []byte(`\"ttl\":31,`)) {
		t.Errorf("%s", data)
	}
}

func TestBody(t *testing.T) {
	tests := []struct{ body, wire string }{
		{"ping", "cGluZw=="}, // what clients send: ping itself would be taken for base64
		{`"ping"`, `"ping"`},
		{`{"a":1}`, `{"a":1}`},
		{"hello world", "hello world"},
		{"abcd\n", "YWJjZAo="},
		{"\n", "Cg=="},
		{"abc", "abc"},
		{"\xff\x00", "/wA="},
		{"é", "é"},
	}
	for _, tt := range tests {
		r := newRequest()
		r.Body = []byte(tt.body)
		data := seal(t, r)
		tr := &protocol.Transport{Version: protocol.V1, Data: data}
		s, err := protocol.DecodeSecureRequest(tr)
		if err != nil {
			t.Fatal(err)
		}
		var wire struct{ Message string }
		if err := json.Unmarshal(s.Message, &wire); err != nil || wire.Message != tt.wire {
			t.Errorf("%q is sent as %q, want %q", tt.body, wire.Message, tt.wire)
		}
		if got, err := protocol.OpenRequest(tr, sealer{}, made); err != nil || string(got.Body) != tt.body {
			t.Errorf("%q came back as %q, %v", tt.body, got.Body, err)
		}
	}
}

func TestReply(t *testing.T) {
	r := &protocol.Reply{
		Version: protocol.V1, RequestID: "3c3e07cb388e4829aff38451ff4556e8", Sender: "n1.example.net", Agent: "rpcutil", Time: made,
		Body: []byte(`{"action":"ping","statuscode":0,"statusmsg":"OK","data":{"pong":1795351223}}`),
	}
	data, err := protocol.SealReply(r)
	if err != nil {
		t.Fatal(err)
	}
	var secure struct{ Protocol, Message, Hash string }
	strict(t, data, &secure)
	const want = `{"protocol":"choria:reply:1","message":"{\"action\":\"ping\",\"statuscode\":0,\"statusmsg\":\"OK\",\"data\":{\"pong\":1795351223}}","envelope":{"requestid":"3c3e07cb388e4829aff38451ff4556e8","senderid":"n1.example.net","agent":"rpcutil","time":1795351213}}`
	if secure.Message != want {
		t.Errorf("reply\n%s\nwant\n%s", secure.Message, want)
	}
	got, err := protocol.OpenReply(&protocol.Transport{Version: protocol.V1, Data: data})
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("reply %+v came back as %+v, %v", r, got, err)
	}

	refused := []struct{ old, new, err string }{
		{`1795351213`, `1795351214`, "secure reply: hash: not that of the message"},
		{`"hash":"`, `"hash":"AA`, "secure reply: hash: "},
		{`"hash":"`, `"hash":"","x":"`, "secure reply: hash: not that of the message"},
		{`choria:secure:reply:1`, `choria:secure:request:1`, `secure reply: protocol is "choria:secure:request:1"`},
		{`"hash"`, `"hush"`, `secure reply: no member "hash"`},
	}
	for _, tt := range refused {
		changed := bytes.Replace(data, []byte(tt.old), []byte(tt.new), 1)
		if got, err := protocol.OpenReply(&protocol.Transport{Version: protocol.V1, Data: changed}); err == nil || !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("%s: %+v, %v; want %q", tt.new, got, err, tt.err)
		}
	}

	for _, r := range []*protocol.Reply{
		{Version: protocol.V1, Sender: "a", Body: []byte("x")}, {Version: protocol.V1, RequestID: "a", Body: []byte("x")},
		{Version: protocol.V1, RequestID: "a", Sender: "b"}, {RequestID: "a", Sender: "b", Body: []byte("x")},
	} {
		if data, err := protocol.SealReply(r); err == nil {
			t.Errorf("%+v was encoded as %s", r, data)
		}
	}
}

func TestNewID(t *testing.T) {
	a, b := protocol.NewID(), protocol.NewID()
	if a == b || len(a) != 32 || strings.Trim(a, "0123456789abcdef") != "" || a[12] != '4' {
		t.Errorf("ids %s and %s", a, b)
	}
}

// place is where in a message something was found that does not belong there.
var place = regexp.MustCompile(` at (input )?byte \d+`)

// message returns what err says, but for the place.
func message(err error) string {
	if err == nil {
		return ""
	}
	return place.ReplaceAllString(err.Error(), "")
}

func FuzzDecodeTransport(f *testing.F) {
	for _, p := range payloads(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		tr, err := protocol.DecodeTransport(payload)
		if err != nil {
			return
		}
		again, err := tr.Encode()
		if err != nil {
			if len(tr.Data) > 0 {
				t.Fatalf("decoded but not encoded: %v", err)
			}
			return
		}
		back, err := protocol.DecodeTransport(again)
		if err != nil || !bytes.Equal(back.Data, tr.Data) || back.ReplyTo != tr.ReplyTo || back.Sender != tr.Sender || !reflect.DeepEqual(texts(back.Hops), texts(tr.Hops)) {
			t.Errorf("%+v came back as %+v, %v", tr, back, err)
		}
		if req, err := protocol.OpenRequest(tr, sealer{}, made); err == nil && req.Digest == [32]byte{} {
			t.Error("no digest")
		}
		_, _ = protocol.OpenReply(tr)
	})
}

// texts makes nil and empty hops equal.
func texts(hops []protocol.Hop) string { return fmt.Sprint(hops) }

func FuzzOpenRequest(f *testing.F) {
	for _, p := range payloads(f) {
		if tr, err := protocol.DecodeTransport(p); err == nil {
			f.Add(tr.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := protocol.DecodeSecureRequest(&protocol.Transport{Version: protocol.V1, Data: data})
		if err != nil {
			return
		}
		var want struct{ Protocol, Message, Signature, Pubcert string }
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("decoded what encoding/json refuses: %v", err)
		}
		// encoding/json compares names without regard to case, so only where that makes no difference.
		if !mixed(data) && (string(s.Message) != want.Message || string(s.Cert) != want.Pubcert) {
			t.Errorf("message %q, encoding/json has %q", s.Message, want.Message)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, p := range payloads(f) {
		if tr, err := protocol.DecodeTransport(p); err == nil {
			if s, err := protocol.DecodeSecureRequest(tr); err == nil {
				f.Add(s.Message)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := protocol.DecodeRequest(protocol.V1, data)
		if err != nil {
			return
		}
		var want struct {
			Message  string
			Envelope struct {
				RequestID, SenderID, CallerID, Collective, Agent string
				TTL, Time                                        int64
				Filter                                           filter.Filter
			}
		}
		if err := json.Unmarshal(data, &want); err != nil && !mixed(data) {
			t.Fatalf("decoded what encoding/json refuses: %v", err)
		}
		e := want.Envelope
		if !mixed(data) && (r.ID != e.RequestID || r.Sender != e.SenderID || r.Caller != e.CallerID || r.Agent != e.Agent ||
			r.Time.Unix() != e.Time || r.TTL != time.Duration(e.TTL)*time.Second || !reflect.DeepEqual(r.Filter, e.Filter)) {
			t.Errorf("%+v, encoding/json has %+v", r, want)
		}
		if len(r.Body) == 0 {
			return // base64 of nothing
		}
		sealed, err := protocol.SealRequest(r, sealer{})
		if err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
		back, err := protocol.OpenRequest(&protocol.Transport{Version: protocol.V1, Data: sealed}, sealer{}, made)
		if err != nil {
			t.Fatal(err)
		}
		if back.ID != r.ID || !bytes.Equal(back.Body, r.Body) || !back.Time.Equal(r.Time) || back.TTL != r.TTL {
			t.Errorf("%+v came back as %+v", r, back)
		}
	})
}

func FuzzOpenReply(f *testing.F) {
	for _, p := range payloads(f) {
		if tr, err := protocol.DecodeTransport(p); err == nil {
			f.Add(tr.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := protocol.OpenReply(&protocol.Transport{Version: protocol.V1, Data: data})
		if err == nil && !utf8.Valid(r.Body) {
			t.Errorf("body %q is no text", r.Body)
		}
		// The same as the body of a message with the right hash.
		secure := map[string]string{"protocol": "choria:secure:reply:1", "message": string(data)}
		sum := sha256.Sum256([]byte(strings.ToValidUTF8(string(data), "\ufffd")))
		secure["hash"] = base64.StdEncoding.EncodeToString(sum[:])
		sealed, err := json.Marshal(secure)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = protocol.OpenReply(&protocol.Transport{Version: protocol.V1, Data: sealed})
	})
}

// mixed reports whether data could have a member name in other than lower case.
func mixed(data []byte) bool {
	return !bytes.Equal(data, bytes.ToLower(data)) || bytes.IndexByte(data, '\\') >= 0
}
