package security

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/security/pki"
)

// A request is signed by somebody and to be verified by others.
type request struct {
	message, signature, cert []byte
	caller                   string
}

func signRequest(t testing.TB, id *Identity) request {
	t.Helper()
	m := request{message: []byte("message"), caller: id.Caller()}
	var err error
	if m.signature, m.cert, err = id.Sign(m.message); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m request) verify(id *Identity) error {
	return id.Verify(m.message, m.signature, m.cert, m.caller, time.Now())
}

// TestRevocationReload changes the file under a running node.
func TestRevocationReload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ro, rip := s.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	ao, _ := s.issue(pki.Request{Name: "ann.mcollective", RSA: true})
	no, _ := s.issue(pki.Request{Name: "n1"})
	ripRequest, annRequest := signRequest(t, mustNew(t, ro)), signRequest(t, mustNew(t, ao))

	var log logBuffer
	no.Log = log.logger()
	no.CRLOptional = true
	if err := os.Remove(no.CRL); err != nil {
		t.Fatal(err)
	}
	node := mustNew(t, no)
	want := func(what, ripError string, warnings int) {
		t.Helper()
		for range 3 { // a broken file is looked at once
			hurry(node)
			check(t, what, ripRequest.verify(node), ripError)
			check(t, what+", another", annRequest.verify(node), "")
		}
		if n := log.count("changed CA or revocation list not used"); n != warnings {
			t.Errorf("%s: %d warnings, want %d", what, n, warnings)
		}
	}
	const revoked = `caller "choria=rip.mcollective": revoked: certificate "rip.mcollective" with serial number 2`
	want("no list", "", 0)
	if err := s.ca.WriteSSLDir(s.dir, "", nil); err != nil {
		t.Fatal(err)
	}
	want("empty list", "", 0)
	s.revoke(rip)
	want("revoked", revoked, 0)
	write(t, no.CRL, []byte("garbage"))
	want("garbage", revoked, 1)
	other, err := newSite(t).ca.CRL()
	if err != nil {
		t.Fatal(err)
	}
	write(t, no.CRL, other)
	want("list of a namesake", revoked, 2)
	good, err := s.ca.CRL()
	if err != nil {
		t.Fatal(err)
	}
	write(t, no.CRL, append(other, good...))
	want("good list after a bad one", revoked, 3)
	if err := os.Remove(no.CRL); err != nil {
		t.Fatal(err)
	}
	want("list has gone", revoked, 4)
	write(t, no.CRL, good)
	want("list is back", revoked, 4)
}

// TestConcurrent reloads while many verify, for the race detector.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ro, _ := s.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	no, _ := s.issue(pki.Request{Name: "n1"})
	rip, node := mustNew(t, ro), mustNew(t, no)
	requests := make([]request, 4)
	for i := range requests {
		r := request{message: []byte{byte(i)}, caller: rip.Caller()}
		var err error
		if r.signature, r.cert, err = rip.Sign(r.message); err != nil {
			t.Fatal(err)
		}
		requests[i] = r
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				check(t, "request", requests[(n+i)%len(requests)].verify(node), "")
				if node.Expires().IsZero() {
					t.Error("no certificate")
				}
			}
		})
	}
	for range 20 {
		s.issue(pki.Request{Name: "n1"})
		_, other := s.issue(pki.Request{Name: "other"})
		s.revoke(other)
		hurry(node)
		node.own.get()
		node.trust.authorities.get()
	}
	close(stop)
	wg.Wait()
}

// TestChangedCA replaces the CA of a running node.
func TestChangedCA(t *testing.T) {
	t.Parallel()
	s, next := newSite(t), newSite(t)
	ro, _ := s.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	xo, _ := next.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	no, _ := s.issue(pki.Request{Name: "n1"})
	no.CRL = ""
	node := mustNew(t, no)
	before, after := signRequest(t, mustNew(t, ro)), signRequest(t, mustNew(t, xo))
	check(t, "before", before.verify(node), "")
	check(t, "too early", after.verify(node), "unknown authority")
	both := append(bytes.Clone(s.ca.Cert()), next.ca.Cert()...)
	write(t, no.CA, both)
	hurry(node)
	check(t, "both, old", before.verify(node), "")
	check(t, "both, new", after.verify(node), "")
	write(t, no.CA, next.ca.Cert())
	hurry(node)
	check(t, "late", before.verify(node), "unknown authority")
	check(t, "after", after.verify(node), "")
}

// TestRevocationBelowRoot is Puppet's arrangement: two authorities in one file, two lists in another.
func TestRevocationBelowRoot(t *testing.T) {
	t.Parallel()
	root, err := pki.New("Root")
	if err != nil {
		t.Fatal(err)
	}
	subs := make([]*pki.CA, 2)
	for i := range subs {
		if subs[i], err = root.Intermediate(fmt.Sprintf("Sub %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	sub := subs[0]
	s := &site{t, sub, t.TempDir()}
	ro, rip := s.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	ao, _ := s.issue(pki.Request{Name: "ann.mcollective", RSA: true})
	ripRequest, another := signRequest(t, mustNew(t, ro)), signRequest(t, mustNew(t, ao))
	// The node is of another branch.
	other := &site{t, subs[1], t.TempDir()}
	no, _ := other.issue(pki.Request{Name: "n1"})

	for _, tt := range []struct {
		name string
		ca   []byte // that the node trusts
	}{
		{"root and both", append(bytes.Clone(sub.Cert()), subs[1].Cert()...)},
		{"root alone", rootOf(root)}, // the list of the intermediate can be checked by what requests carry
	} {
		no.CA = write(t, filepath.Join(t.TempDir(), "ca.pem"), tt.ca)
		no.CRL = write(t, filepath.Join(t.TempDir(), "crl.pem"), lists(t, sub, subs[1]))
		node := mustNew(t, no)
		check(t, tt.name, ripRequest.verify(node), "")
		check(t, tt.name+", another", another.verify(node), "")
	}
	if err := sub.Revoke(rip); err != nil {
		t.Fatal(err)
	}
	for _, ca := range [][]byte{append(bytes.Clone(sub.Cert()), subs[1].Cert()...), rootOf(root)} {
		no.CA = write(t, filepath.Join(t.TempDir(), "ca.pem"), ca)
		no.CRL = write(t, filepath.Join(t.TempDir(), "crl.pem"), lists(t, sub, subs[1]))
		node := mustNew(t, no)
		check(t, "revoked", ripRequest.verify(node), `revoked: certificate "rip.mcollective"`)
		check(t, "another", another.verify(node), "")
	}
	// A list in the name of the intermediate that somebody else has signed revokes nothing.
	impostor, err := root.Intermediate("Sub 0")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := impostor.Issue(pki.Request{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // serial numbers 2, 3, 4: those of rip and ann
		if err := impostor.Revoke(pair); err != nil {
			t.Fatal(err)
		}
		if pair, err = impostor.Issue(pki.Request{Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	no.CA = write(t, filepath.Join(t.TempDir(), "ca.pem"), rootOf(root))
	no.CRL = write(t, filepath.Join(t.TempDir(), "crl.pem"), lists(t, impostor))
	check(t, "list of an impostor", another.verify(mustNew(t, no)), "")

	// The root revokes the intermediate: in a chain, and where it is an authority by itself.
	if err := root.RevokeCA(sub); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ca   []byte
		want string
	}{
		{append(bytes.Clone(sub.Cert()), subs[1].Cert()...), `revoked: certificate "Sub 0"`},
		{rootOf(root), `revoked: certificate "Sub 0"`},
	} {
		no.CA = write(t, filepath.Join(t.TempDir(), "ca.pem"), tt.ca)
		no.CRL = write(t, filepath.Join(t.TempDir(), "crl.pem"), lists(t, root))
		check(t, "branch revoked", another.verify(mustNew(t, no)), tt.want)
	}
}

// rootOf returns the certificate of ca without those above it.
func rootOf(ca *pki.CA) []byte {
	block, _ := pem.Decode(ca.Cert())
	return pem.EncodeToMemory(block)
}

// lists returns the lists of cas and of those above them.
func lists(t testing.TB, cas ...*pki.CA) (out []byte) {
	t.Helper()
	for _, ca := range cas {
		data, err := ca.CRL()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data...)
	}
	return out
}

func TestStaleList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o, pair := s.issue(pki.Request{Name: "n1"})
	if err := s.ca.Revoke(pair); err != nil {
		t.Fatal(err)
	}
	certs, err := readCertificates(o.CA, "CA")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseRevocations(lists(t, s.ca), certs)
	if err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	warnStale(log.logger(), o.CRL, parsed)
	if log.count("revocation list is out of date") != 0 {
		t.Error("a new list is said to be out of date")
	}
	parsed[0].next = time.Now().Add(-time.Second)
	warnStale(log.logger(), o.CRL, parsed)
	if log.count("revocation list is out of date") != 1 {
		t.Error("no warning about a list that is out of date")
	}
	leaf, err := readCertificates(o.Certificate, "certificate")
	if err != nil {
		t.Fatal(err)
	}
	if !parsed.has(leaf[0], certs[0]) {
		t.Error("what an old list revokes is trusted again")
	}
}

func FuzzParseRevocations(f *testing.F) {
	s := newSite(f)
	o, pair := s.issue(pki.Request{Name: "n1"})
	f.Add(read(f, o.CRL))
	s.revoke(pair)
	f.Add(read(f, o.CRL))
	f.Add([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	certs, err := readCertificates(o.CA, "CA")
	if err != nil {
		f.Fatal(err)
	}
	leaf, err := readCertificates(o.Certificate, "certificate")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := parseRevocations(data, certs)
		if (err == nil) != (parsed != nil) {
			t.Fatalf("%v with error %v", parsed, err)
		}
		parsed.has(leaf[0], certs[0])
		parsed.has(certs[0], leaf[0])
	})
}
