package security

import (
	"crypto"
	"crypto/x509"
)

// ReadKey reads a private key from a PEM file that only its owner may change and only its owner and
// group may read: PKCS#1, PKCS#8 or SEC 1, without a passphrase.
func ReadKey(path string) (crypto.Signer, error) { return readKey(path) }

// ReadCertificates reads the certificates of a PEM file, of which there has to be one.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	return readCertificates(path, "certificate")
}
