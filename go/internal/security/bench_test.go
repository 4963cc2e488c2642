package security

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/vectors"
)

// BenchmarkVerify shows what a node spends on one request of a usual size.
func BenchmarkVerify(b *testing.B) {
	node := mustNew(b, vectorOptions(b, "n1.example.net"))
	rip := mustNew(b, vectorOptions(b, "rip.mcollective"))
	requests := make([]request, 64) // so that no two in a row are the same
	for i := range requests {
		requests[i].message = fmt.Appendf(nil, "%0600d", i)
		requests[i].caller = rip.Caller()
		var err error
		if requests[i].signature, requests[i].cert, err = rip.Sign(requests[i].message); err != nil {
			b.Fatal(err)
		}
	}
	verify := func(b *testing.B, r request) {
		if err := node.Verify(r.message, r.signature, r.cert, r.caller, vectorNow); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("certificate known", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			verify(b, requests[i%len(requests)])
		}
	})
	b.Run("certificate new", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			node.known.known = nil
			verify(b, requests[i%len(requests)])
		}
	})
	b.Run("same request at many nodes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			verify(b, requests[0])
		}
	})
	b.Run("refused", func(b *testing.B) {
		cert := read(b, filepath.Join(vectors.Dir(b), "v1", "pki", "other-ca-rip.mcollective.pem"))
		b.ReportAllocs()
		for b.Loop() {
			if node.Verify(requests[0].message, requests[0].signature, cert, requests[0].caller, vectorNow) == nil {
				b.Fatal("accepted")
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	rip := mustNew(b, vectorOptions(b, "rip.mcollective"))
	message := make([]byte, 600)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := rip.Sign(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, isRSA := range []bool{false, true} {
		s := newSite(b)
		o, _ := s.issue(pki.Request{Name: "n1", RSA: isRSA})
		b.Run(fmt.Sprintf("rsa=%v", isRSA), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustNew(b, o)
			}
		})
		o.Shared = &Shared{}
		b.Run(fmt.Sprintf("rsa=%v shared", isRSA), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustNew(b, o)
			}
		})
	}
}

// TestAllocations holds the part of the budget of a request, 60 allocations, that is spent here.
func TestAllocations(t *testing.T) {
	node := mustNew(t, vectorOptions(t, "n1.example.net"))
	rip := mustNew(t, vectorOptions(t, "rip.mcollective"))
	a, b := signRequest(t, rip), signRequest(t, rip)
	b.message = []byte("another message")
	var err error
	if b.signature, _, err = rip.Sign(b.message); err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(100, func() {
		for _, r := range []request{a, b} {
			if err := node.Verify(r.message, r.signature, r.cert, r.caller, vectorNow); err != nil {
				t.Error(err)
			}
		}
	})
	if each := got / 2; each > 15 {
		t.Errorf("a request with a known certificate costs %v allocations, want at most 15", each)
	}
}

// TestIdentitySize holds that thousands of identities fit into one process.
func TestIdentitySize(t *testing.T) {
	s := newSite(t)
	o, _ := s.issue(pki.Request{Name: "n1"})
	o.Shared = &Shared{}
	const n = 200
	ids := make([]*Identity, n)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range ids {
		ids[i] = mustNew(t, o)
	}
	each := (heap() - before) / n
	runtime.KeepAlive(ids)
	t.Logf("an identity that shares its CA takes %d bytes", each)
	if each > 16<<10 {
		t.Errorf("an identity that shares its CA takes %d bytes, want at most 16 kB", each)
	}
}
