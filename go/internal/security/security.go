// Package security proves who a node, a broker or a caller is.
package security

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// An Identity is the certificate and key of this process with the CA it trusts. It signs and
// verifies requests, and makes TLS configurations. Its methods may be called concurrently, and many
// nodes of one process may share one.
//
// The files behind it are read again when they change, at most a second after: a renewed
// certificate, another CA, a new revocation list. A change that does not hold together, such as a
// certificate without its key or a list with a bad signature, is logged once and not used.
type Identity struct {
	name  string
	own   *watched[own]
	trust *trust
	known callers
	tls   tlsSettings
	log   *slog.Logger

	serving atomic.Pointer[serving] // nil until ServerTLSFor is called
}

// For says for which kind of process an identity is loaded, since that decides the certificate
// name and what the certificate has to be good for.
type For int

// The kinds of process.
const (
	ForServer For = iota
	ForBroker
	ForClient
)

// Options describe an identity. Name, Certificate, Key and CA are required; Load makes them from a
// configuration.
type Options struct {
	For For

	// Name is the certificate name: what follows choria= in the caller id of requests made with it.
	Name string

	// Certificate, Key and CA are names of PEM files. Certificate may hold intermediates after the
	// certificate itself, CA any number of authorities.
	Certificate, Key, CA string

	// CRL is the name of a PEM file with revocation lists of the authorities. Empty means none.
	CRL string

	// CRLOptional says that CRL need not exist, nor exist yet.
	CRLOptional bool

	// Callers and Privileged are the regular expressions that certificate names have to match to make
	// requests, and to make them in the name of others. Nil means the documented defaults.
	Callers, Privileged []string

	// KnownCallers is how many certificates of callers that verified are kept, some 2 kB each, so that
	// those of their next requests need not be. Zero means 128: a node hears few.
	KnownCallers int

	// LegacyBrokers accepts brokers whose certificate has its name in the subject alone.
	LegacyBrokers bool

	// Addresses are the IP addresses that brokers are reached at, if any: see ClientTLS.
	Addresses []netip.Addr

	// CipherSuites and Curves are names as in the keys plugin.security.cipher_suites and
	// plugin.security.ecc_curves. Empty means the defaults.
	CipherSuites, Curves []string

	// Shared, when set, is what identities of this process have in common. It is what keeps thousands of them
	// small: 8 kB each.
	Shared *Shared

	Log *slog.Logger // nil discards

	missing string // what to do when there is no Certificate or no CA
}

// New makes an identity. It is an error, each with its own message, when a file is missing, not what
// it should be, expired, from another CA, revoked, or a key that does not belong to its certificate
// or that others may read.
func New(o Options) (*Identity, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !ValidName(o.Name) {
		return nil, fmt.Errorf("certificate name %q: want letters, digits, underscore, dot and dash", o.Name)
	}
	id := &Identity{name: o.Name, log: o.Log, known: callers{most: cmp.Or(max(o.KnownCallers, 0), maxCallers)}}
	var err error
	if id.tls, err = newTLSSettings(o); err != nil {
		return nil, err
	}
	if id.trust, err = o.Shared.trust(o); err != nil {
		return nil, err
	}
	id.own = &watched[own]{
		files: []string{o.Certificate, o.Key},
		load: func(*own) (*own, error) {
			return loadOwn(o, id.trust.authorities.get(), time.Now())
		},
		refused: func(err error) { o.Log.Warn("changed certificate not used", "err", err) },
	}
	if err := id.own.open(); err != nil {
		return nil, err
	}
	if o.For == ForClient {
		id.warnAboutName(o.Certificate)
	}
	return id, nil
}

// warnAboutName tells why nodes are going to ignore all requests, which they do without a word.
func (i *Identity) warnAboutName(file string) {
	leaf := i.own.get().cert.Leaf
	names := slices.Compact(slices.Sorted(slices.Values(certNames(leaf)))) // the common name is mostly among the others
	if i.trust.privileged.matchAny(names) {
		return
	}
	for _, name := range names {
		if name == i.name {
			return
		}
	}
	i.log.Warn("nodes will refuse requests, the certificate is for another name",
		"caller", i.Caller(), "file", file, "names", names)
}

// Name returns the certificate name of this process.
func (i *Identity) Name() string { return i.name }

// Caller returns the caller id that requests signed by this identity carry, choria=<name>.
func (i *Identity) Caller() string { return "choria=" + i.name }

// Expires returns when the certificate of this process expires.
func (i *Identity) Expires() time.Time { return i.own.get().expires }

// Sign implements protocol.Signer: RSASSA-PKCS1-v1_5 over the SHA-256 of message, as protocol
// section 3.1 demands. Certificates with other keys are good for connecting only.
func (i *Identity) Sign(message []byte) (signature, cert []byte, err error) {
	own := i.own.get()
	key := own.cert.PrivateKey.(crypto.Signer) // loadOwn takes no other
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		return nil, nil, hint(
			fmt.Errorf("sign request as %s: the certificate has an %s key, requests are signed with RSA", i.Caller(), own.algorithm),
			"get a certificate with an RSA key for this name; others are good for servers that register nothing, and for brokers")
	}
	digest := sha256.Sum256(message)
	signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, nil, fmt.Errorf("sign request as %s: %w", i.Caller(), err)
	}
	return signature, own.pem(), nil
}

// errNoCertificate is for PEM that holds anything but what is wanted.
var errNoCertificate = errors.New("holds no PEM certificate")

// own is the certificate of this process as read from its files.
type own struct {
	cert      tls.Certificate // with Leaf unless it is that of a node
	expires   time.Time
	algorithm x509.PublicKeyAlgorithm

	// sessions are the TLS sessions to resume. They go away with the certificate they were made with.
	sessions tls.ClientSessionCache

	tickets tickets // of those who connect to us
}
