package store

import (
	"crypto/tls"
	"net/http"

	"choria.io/choria/go/internal/playbook/props"
)

// httpClient returns a client that speaks TLS as the properties say.
func httpClient(p *props.Props) *http.Client {
	config := p.TLS()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// One store lives for one operation: there is nothing to keep connections for, but locks are renewed.
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, IdleConnTimeout: idle},
		// Credentials and keys are for the server that was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
