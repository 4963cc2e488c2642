package props

import (
	"crypto/tls"
	"crypto/x509"
	"os"
)

// TLS reads how to speak TLS: ca, a file with the authorities to trust in place of those of the system, and cert and
// key, the files of the certificate to show. It is nil when none of them is given.
func (p *Props) TLS() *tls.Config {
	ca, cert, key := p.Has("ca"), p.Has("cert"), p.Has("key")
	if !ca && !cert && !key {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca {
		pem, err := os.ReadFile(p.Path("ca"))
		config.RootCAs = x509.NewCertPool()
		if err != nil {
			p.Refuse("ca", "%s", err)
		} else if !config.RootCAs.AppendCertsFromPEM(pem) {
			p.Refuse("ca", "%s holds no certificate", p.Path("ca"))
		}
	}
	switch {
	case cert != key:
		p.Refuse("cert", "cert and key go together")
	case cert:
		pair, err := tls.LoadX509KeyPair(p.Path("cert"), p.Path("key"))
		if err != nil {
			p.Refuse("cert", "%s", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}
