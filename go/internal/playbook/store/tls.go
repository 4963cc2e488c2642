package store

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"

	"choria.io/choria/go/internal/playbook/props"
)

// httpClient returns a client that trusts the authorities in the file of the property ca, or else those of the
// system, and identifies itself with the files of cert and key, if there are any.
func httpClient(p *props.Props) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.Has("ca") {
		pem, err := os.ReadFile(p.Path("ca"))
		config.RootCAs = x509.NewCertPool()
		if err != nil {
			p.Refuse("ca", "%s", err)
		} else if !config.RootCAs.AppendCertsFromPEM(pem) {
			p.Refuse("ca", "%s holds no certificate", p.Path("ca"))
		}
	}
	switch {
	case p.Has("cert") != p.Has("key"):
		p.Refuse("cert", "cert and key go together")
	case p.Has("cert"):
		pair, err := tls.LoadX509KeyPair(p.Path("cert"), p.Path("key"))
		if err != nil {
			p.Refuse("cert", "%s", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	// One store lives for one operation: there is nothing to keep connections for, but locks are renewed.
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, IdleConnTimeout: idle},
		// Credentials and keys are for the server that was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
