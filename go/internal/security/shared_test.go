package security

import (
	"testing"

	"choria.io/choria/go/internal/security/pki"
)

// TestShared holds that identities share what is in the same files and nothing that one of them has found out, and
// that a list that revokes a caller is heeded by all.
func TestShared(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	caller, pair := s.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	caller.For = ForClient
	request := signRequest(t, mustNew(t, caller))

	shared := &Shared{}
	var nodes []*Identity
	for _, name := range []string{"n1", "n2"} {
		o, _ := s.issue(pki.Request{Name: name})
		o.Shared = shared
		nodes = append(nodes, mustNew(t, o))
	}
	a, b := nodes[0], nodes[1]
	if a.trust != b.trust {
		t.Error("each reads the authorities for itself")
	}
	if err := request.verify(a); err != nil {
		t.Fatal(err)
	}
	if len(a.known.known) != 1 || len(b.known.known) != 0 {
		t.Errorf("%d and %d callers are known, want one and none: what one has verified is not known to the other", len(a.known.known), len(b.known.known))
	}
	if err := request.verify(b); err != nil {
		t.Fatal(err)
	}

	other, _ := s.issue(pki.Request{Name: "n3"})
	other.Shared, other.Callers = shared, []string{"nobody"}
	if c := mustNew(t, other); c.trust == a.trust || request.verify(c) == nil {
		t.Error("an identity that allows nobody has the callers of the others")
	}

	s.revoke(pair)
	hurry(nodes...)
	for _, id := range nodes {
		if err := request.verify(id); err == nil {
			t.Errorf("%s accepts a caller that is revoked", id.Name())
		}
	}
}
