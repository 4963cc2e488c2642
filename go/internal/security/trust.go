package security

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// trust is what decides about others, as files and configuration have it. Identities may share it.
type trust struct {
	authorities *watched[authorities]
	allowed     patterns // certificate names that may make requests
	privileged  patterns // certificate names that may make them for others
}

// authorities are the certificates that are trusted and the revocation lists, as read at one time. They are
// not changed; when one of the files changes others take their place.
type authorities struct {
	file  string // of the certificates, for messages
	certs []*x509.Certificate
	roots *x509.CertPool
	lists revocations
	hasRL bool // there was a file of revocation lists
}

// A Shared is for the identities of one process that trust the same files: authorities and revocation lists are
// read and kept once. What one of them has verified stays its own. The zero value is ready, and its methods may be
// called concurrently.
type Shared struct {
	mu     sync.Mutex
	trusts map[string]*trust // by what makes a difference
}

// trust returns what o says about others. A nil s shares nothing. What is wrong with files later is logged where
// the first one to trust them logs.
func (s *Shared) trust(o Options) (*trust, error) {
	if s == nil {
		return newTrust(o)
	}
	key := fmt.Sprintf("%q %q %t %#v %#v", o.CA, o.CRL, o.CRLOptional, o.Callers, o.Privileged)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.trusts[key]; t != nil {
		return t, nil
	}
	t, err := newTrust(o)
	if err != nil {
		return nil, err
	}
	if s.trusts == nil {
		s.trusts = make(map[string]*trust)
	}
	s.trusts[key] = t
	return t, nil
}

func newTrust(o Options) (*trust, error) {
	t := &trust{}
	var err error
	callers, privileged := o.Callers, o.Privileged
	if callers == nil {
		callers = defaultCallers
	}
	if privileged == nil {
		privileged = defaultPrivileged
	}
	if t.allowed, err = parsePatterns("plugin.choria.security.certname_whitelist", callers); err != nil {
		return nil, err
	}
	if t.privileged, err = parsePatterns("plugin.choria.security.privileged_users", privileged); err != nil {
		return nil, err
	}
	files := []string{o.CA}
	if o.CRL != "" {
		files = append(files, o.CRL)
	}
	t.authorities = &watched[authorities]{
		files:   files,
		load:    func(old *authorities) (*authorities, error) { return loadAuthorities(o, old) },
		refused: func(err error) { o.Log.Warn("changed CA or revocation list not used", "err", err) },
	}
	if err := t.authorities.open(); err != nil {
		return nil, err
	}
	return t, nil
}

// loadAuthorities reads the files. old is what they held before, nil at first.
func loadAuthorities(o Options, old *authorities) (*authorities, error) {
	certs, err := readCertificates(o.CA, "CA")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && o.missing != "" {
			err = hint(err, o.missing)
		}
		return nil, err
	}
	a := &authorities{file: o.CA, certs: certs, roots: x509.NewCertPool()}
	if o.CRL != "" {
		data, _, err := readFile(o.CRL, "revocation list", maxCRLFile)
		missing := errors.Is(err, fs.ErrNotExist)
		switch {
		case missing && o.CRLOptional && (old == nil || !old.hasRL):
		case err != nil:
			// A list that has gone is no reason to trust again what it revoked.
			return nil, err
		default:
			if a.lists, err = parseRevocations(data, certs); err != nil {
				return nil, fmt.Errorf("revocation list %s: %w", o.CRL, err)
			}
			a.hasRL = true
			warnStale(o.Log, o.CRL, a.lists)
		}
	}
	for _, c := range certs {
		if !a.authorityRevoked(c) {
			a.roots.AddCert(c)
		}
	}
	return a, nil
}

// authorityRevoked reports whether an authority above c, as Puppet's CA has one, has revoked c.
func (a *authorities) authorityRevoked(c *x509.Certificate) bool {
	for _, above := range a.certs {
		if bytes.Equal(above.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(above) == nil && a.lists.has(c, above) {
			return true
		}
	}
	return false
}

// verify returns the chains from certs[0], by way of the others, to an authority, regardless of
// revocation.
func (a *authorities) verify(certs []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) ([][]*x509.Certificate, error) {
	var between *x509.CertPool
	if len(certs) > 1 {
		between = x509.NewCertPool()
		for _, c := range certs[1:] {
			between.AddCert(c)
		}
	}
	return certs[0].Verify(x509.VerifyOptions{
		Roots:         a.roots,
		Intermediates: between,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
}

// unrevoked returns the first of chains in which nothing is revoked.
func (a *authorities) unrevoked(chains [][]*x509.Certificate) ([]*x509.Certificate, error) {
	err := errors.New("no certificate chain")
	for _, chain := range chains {
		revoked := a.revokedIn(chain)
		if revoked == nil {
			return chain, nil
		}
		err = fmt.Errorf("revoked: certificate %q with serial number %x", revoked.Subject.CommonName, revoked.SerialNumber)
	}
	return nil, err
}

func (a *authorities) revokedIn(chain []*x509.Certificate) *x509.Certificate {
	for i := range len(chain) - 1 {
		if a.lists.has(chain[i], chain[i+1]) {
			return chain[i]
		}
	}
	return nil
}

// warnStale tells about lists that should have been replaced. They are used all the same: what they
// revoke stays revoked, and a network does not stop because nobody fetched a file.
func warnStale(log *slog.Logger, file string, lists revocations) {
	for _, l := range lists {
		if !l.next.IsZero() && time.Now().After(l.next) {
			log.Warn("revocation list is out of date", "file", file, "issuer", l.name, "next_update", date(l.next))
		}
	}
}
