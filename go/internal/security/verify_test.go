package security

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/vectors"
)

// A sealed request is what Verify gets from one.
type sealed struct {
	message, signature, cert []byte
	caller                   string
	time                     time.Time
}

// unseal takes a request apart without the protocol package, so that the two check each other. It
// returns nil when payload is not a request that Verify would ever see.
func unseal(payload []byte) *sealed {
	var transport struct{ Data string }
	var secure struct{ Protocol, Message, Signature, Pubcert string }
	var request struct {
		Envelope struct {
			Callerid string
			Time     float64
		}
	}
	decode := func(text string) []byte {
		data, err := base64.StdEncoding.DecodeString(text) // ignores line ends
		if err != nil {
			return nil
		}
		return data
	}
	if json.Unmarshal(payload, &transport) != nil || json.Unmarshal(decode(transport.Data), &secure) != nil ||
		secure.Protocol != "choria:secure:request:1" || json.Unmarshal([]byte(secure.Message), &request) != nil {
		return nil
	}
	return &sealed{
		message: []byte(secure.Message), signature: decode(secure.Signature), cert: []byte(secure.Pubcert),
		caller: request.Envelope.Callerid, time: time.Unix(int64(request.Envelope.Time), 0),
	}
}

func (s *sealed) verify(id *Identity) error {
	return id.Verify(s.message, s.signature, s.cert, s.caller, s.time)
}

// craftedRefusals are the crafted requests that fail here, with a part of the reason. All others
// have to pass: what is wrong with them is for other packages to find.
var craftedRefusals = map[string]string{
	"bad signature":                    "the signature is not that of the certificate",
	"signature insecure":               "the signature is not that of the certificate",
	"tampered message":                 "the signature is not that of the certificate",
	"secure missing pubcert":           "no PEM certificate",
	"caller mismatch":                  "the certificate is for",
	"privileged caller uppercase kind": "want kind=name",
	"privileged caller without =":      "want kind=name",
	"caller trailing junk":             "want kind=name", // the peer takes it, see ParseCaller
	"intruder not in allow list":       "certname_whitelist",
	"node cert as caller":              "certname_whitelist",
	"serverAuth only EKU":              "incompatible key usage",
	"other CA":                         "unknown authority",
}

func TestCrafted(t *testing.T) {
	t.Parallel()
	id := mustNew(t, vectorOptions(t, "n1.example.net"))
	var records []struct {
		Name    string
		Payload []byte `json:"payload_base64"`
	}
	if err := json.Unmarshal(read(t, filepath.Join(vectors.Dir(t), "v1", "crafted.json")), &records); err != nil {
		t.Fatal(err)
	}
	refused, passed := 0, 0
	for _, r := range records {
		s := unseal(r.Payload)
		if s == nil {
			continue
		}
		want := craftedRefusals[r.Name]
		if strings.HasPrefix(r.Name, "time ") || s.time.Before(time.Unix(0, 0).AddDate(20, 0, 0)) {
			s.time = vectorNow
		}
		for range 2 { // the second time with a known certificate
			check(t, r.Name, s.verify(id), want)
		}
		if want != "" {
			refused++
		} else {
			passed++
		}
	}
	if refused != len(craftedRefusals) || passed < 90 {
		t.Errorf("%d requests were refused, %d passed; want %d, at least 90", refused, passed, len(craftedRefusals))
	}
}

// TestCaptured verifies everything that was ever signed: requests of Go and Ruby clients.
// Registrations are made with certificates of nodes, which may not make requests.
func TestCaptured(t *testing.T) {
	t.Parallel()
	id := mustNew(t, vectorOptions(t, "n1.example.net"))
	dir := filepath.Join(vectors.Dir(t), "v1")
	files, err := filepath.Glob(filepath.Join(dir, "captured", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	passed, refused := 0, 0
	for _, file := range append(files, filepath.Join(dir, "ruby.json")) {
		for i, payload := range payloads(t, file) {
			s := unseal(payload)
			if s == nil {
				continue
			}
			what := fmt.Sprintf("%s, payload %d", filepath.Base(file), i)
			if strings.HasSuffix(s.caller, ".mcollective") {
				check(t, what, s.verify(id), "")
				passed++
				s.message = append(bytes.Clone(s.message), ' ')
				check(t, what+" with a space more", s.verify(id), "the signature is not")
			} else {
				check(t, what, s.verify(id), "certname_whitelist")
				refused++
			}
		}
	}
	if passed < 20 || refused < 3 {
		t.Errorf("%d passed, %d were refused; want at least 20 and 3", passed, refused)
	}
}

// payloads returns all the payloads in file, whatever its layout.
func payloads(t testing.TB, file string) (out [][]byte) {
	var v any
	if err := json.Unmarshal(read(t, file), &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, e := range v {
				if text, ok := e.(string); ok && key == "payload_base64" {
					data, err := base64.StdEncoding.DecodeString(text)
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, data)
				}
				walk(e)
			}
		}
	}
	walk(v)
	return out
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sub, err := s.ca.Intermediate("Sub CA")
	if err != nil {
		t.Fatal(err)
	}
	stranger := newSite(t)
	type maker struct {
		*Identity
		cert []byte
	}
	issue := func(ca *pki.CA, r pki.Request) maker {
		r.RSA = true
		p, err := ca.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := ca.WriteSSLDir(dir, r.Name, p); err != nil {
			t.Fatal(err)
		}
		return maker{mustNew(t, Options{
			Name:        r.Name,
			Certificate: filepath.Join(dir, "certs", r.Name+".pem"),
			Key:         filepath.Join(dir, "private_keys", r.Name+".pem"),
			CA:          filepath.Join(dir, "certs", "ca.pem"),
		}), p.Cert}
	}
	now := time.Now()
	rip := issue(s.ca, pki.Request{Name: "rip.mcollective", DNS: []string{"alias.mcollective"}, NotAfter: now.Add(time.Hour)})
	below := issue(sub, pki.Request{Name: "sub.mcollective"})
	admin := issue(s.ca, pki.Request{Name: "x", DNS: []string{"a.privileged.mcollective"}})
	other := issue(stranger.ca, pki.Request{Name: "rip.mcollective"})

	o, _ := s.issue(pki.Request{Name: "n1"})
	node := mustNew(t, o)
	many := bytes.Repeat(rip.cert, maxCerts+1)
	leafOnly := func(p []byte) []byte { // without the intermediate
		block, _ := pem.Decode(p)
		return pem.EncodeToMemory(block)
	}
	tests := []struct {
		name   string
		by     maker
		cert   []byte // nil: that of by
		caller string // empty: that of by
		now    time.Time
		err    string
	}{
		{"plain", rip, nil, "", now, ""},
		{"alternative name", rip, nil, "choria=alias.mcollective", now, ""},
		{"another name", rip, nil, "choria=ann.mcollective", now, "the certificate is for"},
		{"case", rip, nil, "choria=RIP.mcollective", now, "the certificate is for"},
		{"expired", rip, nil, "", now.Add(2 * time.Hour), "expired or is not yet valid"},
		{"still", rip, nil, "", now.Add(59 * time.Minute), ""},
		{"too early", rip, nil, "", now.Add(-2 * time.Hour), "expired or is not yet valid"},
		{"intermediate", below, nil, "", now, ""},
		{"intermediate missing", below, leafOnly(below.cert), "", now, "unknown authority"},
		{"privileged by an alternative name", admin, nil, "choria=whoever", now, ""},
		{"privileged, bad caller", admin, nil, "choria=who/ever", now, "want kind=name"},
		{"another CA", other, nil, "", now, "unknown authority"},
		{"certificate of somebody else", rip, below.cert, "choria=sub.mcollective", now, "the signature is not"},
		{"text before", rip, append([]byte("Certificate:\n"), rip.cert...), "", now, ""},
		{"no final newline", rip, bytes.TrimSpace(rip.cert), "", now, ""},
		{"too many", rip, many, "", now, "more than 8"},
		{"too long", rip, append(make([]byte, maxCertBytes), rip.cert...), "", now, "at most 32768"},
		{"none", rip, []byte("insecure"), "", now, "no PEM certificate"},
		{"empty", rip, []byte{}, "", now, "no PEM certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			message := []byte("message of " + tt.name)
			sig, cert, err := tt.by.Sign(message)
			if err != nil {
				t.Fatal(err)
			}
			if tt.cert != nil {
				cert = tt.cert
			}
			caller := tt.by.Caller()
			if tt.caller != "" {
				caller = tt.caller
			}
			for range 2 { // known the second time
				check(t, caller, node.Verify(message, sig, cert, caller, tt.now), tt.err)
			}
			if tt.err != "" {
				return
			}
			// What is known must not let anything else pass.
			check(t, "another message", node.Verify([]byte("other"), sig, cert, caller, tt.now), "the signature is not")
			sig[0] ^= 1
			check(t, "another signature", node.Verify(message, sig, cert, caller, tt.now), "the signature is not")
			check(t, "no signature", node.Verify(message, nil, cert, caller, tt.now), "the signature is not")
		})
	}
}

// TestForeignKeys holds that a certificate whose key is not RSA is refused, by the rules or before.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	id := mustNew(t, vectorOptions(t, "n1.example.net"))
	for name, want := range map[string]string{
		"ec.mcollective": "has an ECDSA key",
		"ed.mcollective": "has an Ed25519 key",
	} {
		cert := read(t, vectorOptions(t, name).Certificate)
		check(t, name, id.Verify([]byte("m"), []byte("s"), cert, "choria="+name, vectorNow), want)
	}
}

// TestKnownCallers holds that what is kept is bounded, and that nothing is kept that did not verify.
func TestKnownCallers(t *testing.T) {
	t.Parallel()
	id := mustNew(t, vectorOptions(t, "n1.example.net"))
	dir := filepath.Join(vectors.Dir(t), "v1", "pki")
	bad, err := os.ReadFile(filepath.Join(dir, "other-ca-rip.mcollective.pem"))
	if err != nil {
		t.Fatal(err)
	}
	good := read(t, filepath.Join(dir, "rip.mcollective.pem"))
	for i := range 2 * maxCallers {
		space := bytes.Repeat([]byte("\n"), i)
		if _, err := id.caller(append(space, bad...), vectorNow); err == nil {
			t.Fatal("a certificate of another CA verified")
		}
		if len(id.known.known) > min(i, maxCallers) {
			t.Fatalf("%d are kept after %d", len(id.known.known), i)
		}
		first, err := id.caller(append(space, good...), vectorNow)
		if err != nil {
			t.Fatal(err)
		}
		again, err := id.caller(append(space, good...), vectorNow)
		if err != nil || again != first {
			t.Fatalf("not known the second time: %v", err)
		}
	}
	if len(id.known.known) != maxCallers {
		t.Errorf("%d are kept, want %d", len(id.known.known), maxCallers)
	}
}

// FuzzVerify holds that nothing is accepted but the requests it starts from.
func FuzzVerify(f *testing.F) {
	dir := filepath.Join(vectors.Dir(f), "v1", "pki")
	id := mustNew(f, vectorOptions(f, "n1.example.net"))
	rip := mustNew(f, vectorOptions(f, "rip.mcollective"))
	good := signRequest(f, rip)
	f.Add(good.message, good.signature, good.cert, good.caller)
	for _, name := range []string{"ec.mcollective", "ed.mcollective", "other-ca-rip.mcollective", "serverauthonly.mcollective", "admin.privileged.mcollective"} {
		f.Add(good.message, good.signature, read(f, filepath.Join(dir, name+".pem")), "choria=rip.mcollective")
	}
	f.Add([]byte{}, []byte{}, []byte("insecure"), "")
	f.Fuzz(func(t *testing.T, message, signature, cert []byte, caller string) {
		if id.Verify(message, signature, cert, caller, vectorNow) != nil {
			return
		}
		certs, err := parseCallerCerts(cert)
		if err != nil {
			t.Fatal(err)
		}
		want, err := x509.ParseCertificate(rip.own.get().cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(message, good.message) || !bytes.Equal(signature, good.signature) || !certs[0].Equal(want) {
			t.Errorf("accepted %q, signature %x, from %q", message, signature, caller)
		}
		if name, _ := ParseCaller(caller); name != "rip.mcollective" {
			t.Errorf("accepted from %q", caller)
		}
	})
}
