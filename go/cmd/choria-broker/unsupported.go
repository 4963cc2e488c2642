package main

import "choria.io/choria/go/internal/config"

// unsupported are settings of other releases that this one knows, and does nothing with.
var unsupported = [...]string{
	"plugin.choria.network.client_signer_cert",
	"plugin.choria.network.server_signer_cert",
	"plugin.choria.network.provisioning.client_password",
	"plugin.choria.network.provisioning.signer_cert",
	"plugin.choria.network.provisioning.provisioner_without_token",
	"plugin.security.choria.trusted_signers",
	"plugin.security.issuer.names",
}

// warnUnsupported returns what to say about those that are set: somebody may rely on them.
func warnUnsupported(cfg *config.Config) []string {
	var all []string
	for _, key := range unsupported {
		if _, _, ok := cfg.Raw(key); ok {
			all = append(all, key+": has no effect, this broker accepts certificates and no tokens")
		}
	}
	return all
}
