package security

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// revocations are the lists of a PEM file, as many as it holds: Puppet's has one for each of its
// two authorities.
type revocations []*revocation

// A revocation is one revocation list, stripped to what is looked up: the lists of large sites have
// tens of thousands of entries.
type revocation struct {
	name    string    // of the issuer, for messages
	issuer  []byte    // distinguished name, DER
	next    time.Time // when a newer list is due
	serials map[string]struct{}

	// key is the public key, DER, that the signature of the list was checked with. It is nil when
	// the issuer is not among the authorities; the signature is then checked with the issuer that a
	// certificate chain shows.
	key    []byte
	signed *x509.RevocationList // nil when key is set; without entries
}

// parseRevocations reads PEM lists. One with the name of an authority in certs has to be signed by
// it. Bytes are bounded by who reads the file; entries by the bytes.
func parseRevocations(data []byte, certs []*x509.Certificate) (revocations, error) {
	var out revocations
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		r, err := newRevocation(list, certs)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if out == nil {
		return nil, errors.New("holds no PEM revocation list (X509 CRL)")
	}
	return out, nil
}

func newRevocation(list *x509.RevocationList, certs []*x509.Certificate) (*revocation, error) {
	r := &revocation{
		name:    list.Issuer.CommonName,
		issuer:  bytes.Clone(list.RawIssuer),
		next:    list.NextUpdate,
		serials: make(map[string]struct{}, len(list.RevokedCertificateEntries)),
	}
	var refused error
	for _, c := range certs {
		if !bytes.Equal(c.RawSubject, list.RawIssuer) {
			continue
		}
		// Two authorities of one name are a CA before and after it got a new key.
		if err := list.CheckSignatureFrom(c); err != nil {
			refused = fmt.Errorf("list of %q: %w", list.Issuer.CommonName, err)
			continue
		}
		r.key = c.RawSubjectPublicKeyInfo
		break
	}
	if r.key == nil {
		if refused != nil {
			return nil, refused
		}
		r.signed = &x509.RevocationList{
			RawTBSRevocationList: bytes.Clone(list.RawTBSRevocationList),
			Signature:            bytes.Clone(list.Signature),
			SignatureAlgorithm:   list.SignatureAlgorithm,
		}
	}
	for i := range list.RevokedCertificateEntries {
		r.serials[string(list.RevokedCertificateEntries[i].SerialNumber.Bytes())] = struct{}{}
	}
	return r, nil
}

// has reports whether c, which issuer has issued, is revoked.
func (rs revocations) has(c, issuer *x509.Certificate) bool {
	for _, r := range rs {
		if !bytes.Equal(r.issuer, c.RawIssuer) {
			continue
		}
		if _, ok := r.serials[string(c.SerialNumber.Bytes())]; !ok {
			continue
		}
		if r.key != nil && bytes.Equal(r.key, issuer.RawSubjectPublicKeyInfo) ||
			r.key == nil && r.signed.CheckSignatureFrom(issuer) == nil {
			return true
		}
	}
	return false
}
