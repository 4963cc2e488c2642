// Package enroll gets a certificate from a Puppet certificate authority.
package enroll

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"choria.io/choria/go/internal/security"
)

// A Request says which certificate to get and where to keep it. All fields but those with a zero value
// of their own are required.
//
// Nothing that is there is ever overwritten, so that the same request can be run again to go on with
// what an earlier run has begun: a CA certificate, a key and a request that are there are used.
type Request struct {
	Name string // of the certificate

	// Certificate, Key, CSR and CA are the names of the files. Their directories are made.
	Certificate, Key, CSR, CA string

	// Servers are where the CA answers, host:port, tried in this order.
	Servers []string

	// Fingerprint, when set, is the SHA-256 of the CA's certificate in hexadecimal digits, with colons
	// or without. When it is not set, and the file CA is not there, whoever answers is believed, as
	// Puppet does.
	Fingerprint string

	// DNS are further names to be in the certificate. Few CAs sign them without being told so.
	DNS []string

	// Bits is the length of a new RSA key. Zero means 2048, which is what nodes and clients of all ages
	// can use.
	Bits int

	// Wait is how long to wait for the signature. The CA is asked once in any case.
	Wait time.Duration

	// Interval is the time between two questions for the certificate. Zero means 10 s.
	Interval time.Duration

	// Progress is told what happens.
	Progress Progress
}

// A Progress is told what an enrolment does, in this order.
type Progress interface {
	// CA: the certificates of the CA are in the file path; fetched says that they have just been
	// fetched, from server, without knowing whom from, unless a fingerprint was given.
	CA(server, path string, certs []*x509.Certificate, fetched bool)

	// Key: the key is in the file path; made says that it is new.
	Key(path string, made bool)

	// Requested: the CA has the request with this fingerprint, which the CA's operator sees too; sent
	// says that it was not there before.
	Requested(fingerprint string, sent bool)

	// Waiting: the certificate was not there after some time; err is why nobody could tell, if so.
	Waiting(elapsed time.Duration, err error)
}

// interval is the time between two questions for the certificate. Source: protocol section 3.7.
const interval = 10 * time.Second

// Run gets the certificate and returns it. When the CA does not sign it within Wait the error is an
// *UnsignedError.
func (r *Request) Run(ctx context.Context) (*x509.Certificate, error) {
	if !security.ValidName(r.Name) {
		return nil, fmt.Errorf("certificate name %q: want letters, digits, underscore, dot and dash", r.Name)
	}
	if _, err := os.Lstat(r.Certificate); !errors.Is(err, fs.ErrNotExist) {
		return nil, hint(fmt.Errorf("certificate %s: is there already", r.Certificate),
			"nothing is overwritten; to get another one, have the CA forget this one (%s), then remove it and its key", forget(r.Name))
	}
	authorities, server, err := r.authority(ctx)
	if err != nil {
		return nil, err
	}
	ca, err := newCA(server, authorities)
	if err != nil {
		return nil, err
	}
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	csr, err := r.csr(key)
	if err != nil {
		return nil, err
	}
	cert, err := r.request(ctx, ca, csr)
	if err == nil && cert == nil {
		cert, err = r.wait(ctx, ca, csr)
	}
	if err != nil {
		return nil, err
	}
	if err := create(r.Certificate, encodeCertificate(cert), 0o644); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", r.Certificate, err)
	}
	return cert, nil
}

// request makes sure that the CA has csr, or has signed it already, in which case the certificate is
// returned.
func (r *Request) request(ctx context.Context, ca *ca, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	cert, err := r.fetch(ctx, ca, csr)
	if cert != nil || err != nil {
		return cert, err
	}
	pending, err := ca.pending(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case pending == nil:
		if err := ca.submit(ctx, r.Name, csr); err != nil {
			return nil, err
		}
		r.Progress.Requested(Fingerprint(csr.Raw), true)
		return nil, r.keepCSR(csr)
	case !same(pending.PublicKey, csr.PublicKey):
		return nil, hint(fmt.Errorf("certificate %s: a request with another key is waiting at %s, its fingerprint is %s", r.Name, ca.server, Fingerprint(pending.Raw)),
			"if it is not somebody else's, have the CA forget it (%s) and run this again", forget(r.Name))
	case !slices.Equal(pending.DNSNames, csr.DNSNames): // Puppet Server keeps also what it has refused to sign
		return nil, hint(fmt.Errorf("certificate %s: a request for the names %q is waiting at %s, not for %q", r.Name, pending.DNSNames, ca.server, csr.DNSNames),
			"have the CA forget it (%s) and run this again", forget(r.Name))
	}
	r.Progress.Requested(Fingerprint(pending.Raw), false)
	return nil, r.keepCSR(pending)
}

// wait asks for the certificate until it is there.
func (r *Request) wait(ctx context.Context, ca *ca, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	every := r.Interval
	if every == 0 {
		every = interval
	}
	start := time.Now()
	for {
		cert, err := r.fetch(ctx, ca, csr)
		var u *UnreachableError
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if cert != nil || err != nil && !errors.As(err, &u) { // a CA may be restarted while it is waited for
			return cert, err
		}
		elapsed := time.Since(start)
		r.Progress.Waiting(elapsed, err)
		if elapsed+every > r.Wait {
			return nil, &UnsignedError{Name: r.Name, Server: ca.server, Waited: min(elapsed, r.Wait), Err: err}
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fetch returns the certificate when it is signed, nil when it is not, and an error when it is not the
// one for csr.
func (r *Request) fetch(ctx context.Context, ca *ca, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	cert, err := ca.certificate(ctx, r.Name)
	if cert == nil || err != nil {
		return nil, err
	}
	if !same(cert.PublicKey, csr.PublicKey) {
		return nil, hint(fmt.Errorf("certificate %s: %s has signed one for another key", r.Name, ca.server),
			"if nobody uses that one, have the CA forget it (%s) and run this again", forget(r.Name))
	}
	if cert.Subject.CommonName != r.Name {
		return nil, fmt.Errorf("certificate %s: %s answers with one for %q", r.Name, ca.server, cert.Subject.CommonName)
	}
	_, err = cert.Verify(x509.VerifyOptions{
		Roots:     ca.roots,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("certificate %s: from %s: %w", r.Name, ca.server, err)
	}
	return cert, nil
}

// key returns the key that is there, or a new one.
func (r *Request) key() (*rsa.PrivateKey, error) {
	key, err := security.ReadKey(r.Key)
	if errors.Is(err, fs.ErrNotExist) {
		made, err := r.makeKey()
		if err == nil {
			r.Progress.Key(r.Key, true)
		}
		return made, err
	}
	if err != nil {
		return nil, err
	}
	pair, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, hint(fmt.Errorf("key %s: is no RSA key, which requests are signed with", r.Key), "move it away to have a new one made")
	}
	r.Progress.Key(r.Key, false)
	return pair, nil
}

// same reports whether two public keys are the same.
func same(a, b any) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// forget is the command that makes a CA forget a name.
func forget(name string) string { return "puppetserver ca clean --certname " + name }
