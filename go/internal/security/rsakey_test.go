package security

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
	"sync"
	"testing"
)

// testKeys are of several sizes: a usual one, one that the library checks, and one with an exponent
// that is not the usual.
var testKeys = sync.OnceValues(func() (map[string]*rsa.PrivateKey, error) {
	keys := map[string]*rsa.PrivateKey{}
	for name, bits := range map[string]int{"2048": 2048, "odd size": 2050, "1024": 1024} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		keys[name] = k
	}
	return keys, nil
})

func keysForTest(t testing.TB) map[string]*rsa.PrivateKey {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestRSAKey holds that a key accepts what the standard library does, and nothing else.
func TestRSAKey(t *testing.T) {
	t.Parallel()
	digest := sha256.Sum256([]byte("message"))
	for name, key := range keysForTest(t) {
		k := newRSAKey(&key.PublicKey)
		if (k.modulus != nil) != (name == "2048") {
			t.Errorf("%s: modulus kept: %v", name, k.modulus != nil)
		}
		good, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		if err := k.verify(digest, good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sha512sum := sha512.Sum512([]byte("message"))
		otherHash, err := rsa.SignPKCS1v15(nil, key, crypto.SHA512, sha512sum[:])
		if err != nil {
			t.Fatal(err)
		}
		noHash, err := rsa.SignPKCS1v15(nil, key, 0, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		pss, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], nil)
		if err != nil {
			t.Fatal(err)
		}
		// The same number as the good one modulo N, which RFC 8017 refuses.
		above := new(big.Int).Add(new(big.Int).SetBytes(good), key.N).Bytes()
		flipped := append([]byte(nil), good...)
		flipped[len(flipped)-1] ^= 1
		for what, bad := range map[string][]byte{
			"nothing": nil, "short": good[1:], "long": append([]byte{0}, good...), "other hash": otherHash, "no hash": noHash, "pss": pss,
			"above the modulus": above, "flipped": flipped, "zero": make([]byte, len(good)), "modulus": key.N.Bytes(),
		} {
			if k.verify(digest, bad) == nil {
				t.Errorf("%s: %s is accepted", name, what)
			}
		}
		if k.verify(sha256.Sum256([]byte("other")), good) == nil {
			t.Errorf("%s: another message is accepted", name)
		}
	}
}

// FuzzRSAKey compares with the standard library. What is fuzzed stands for the padded digest before
// it is encrypted, so that forms of padding are tried and not signatures of nothing.
func FuzzRSAKey(f *testing.F) {
	digest := sha256.Sum256([]byte("message"))
	key := keysForTest(f)["2048"]
	good, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		f.Fatal(err)
	}
	padded := new(big.Int).Exp(new(big.Int).SetBytes(good), big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
	f.Add(padded)
	f.Add(padded[1:])
	f.Add(append(append([]byte{0, 1, 0xff, 0}, hashPrefix[:]...), digest[:]...))
	k := newRSAKey(&key.PublicKey)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(big.Int).SetBytes(data)
		m.Mod(m, key.N)
		signature := m.Exp(m, key.D, key.N).FillBytes(make([]byte, key.Size()))
		want := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature)
		if got := k.verify(digest, signature); (got == nil) != (want == nil) {
			t.Errorf("%v; the library says %v", got, want)
		}
	})
}
