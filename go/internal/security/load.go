package security

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"choria.io/choria/go/internal/config"
)

// Load reads the identity that cfg describes (plugin.security.provider and its keys).
// log may be nil.
func Load(cfg *config.Config, kind For, log *slog.Logger) (*Identity, error) {
	return (*Shared)(nil).Load(cfg, kind, log)
}

// Load is the function of that name for one of many identities of this process. A nil s shares nothing.
func (s *Shared) Load(cfg *config.Config, kind For, log *slog.Logger) (*Identity, error) {
	o, err := options(cfg, kind, thisSystem(os.Getenv))
	if err != nil {
		return nil, err
	}
	o.Shared, o.Log = s, log
	return New(o)
}

// Describe returns the name and the files of the identity that Load would read, whether they are there
// or not. A name that is not empty takes the place of the one found out.
func Describe(cfg *config.Config, kind For, name string) (Options, error) {
	getenv := os.Getenv
	if name != "" {
		getenv = func(key string) string {
			if key == "MCOLLECTIVE_CERTNAME" {
				return name
			}
			return os.Getenv(key)
		}
	}
	return options(cfg, kind, thisSystem(getenv))
}

// thisSystem is the machine and the user of this process.
func thisSystem(getenv func(string) string) system {
	return system{
		uid:    os.Geteuid(),
		getenv: getenv,
		isDir: func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.IsDir()
		},
	}
}

// system is what options asks about the machine and the user.
type system struct {
	uid    int
	getenv func(string) string
	isDir  func(string) bool
}

// options returns what cfg says.
func options(cfg *config.Config, kind For, sys system) (Options, error) {
	o := Options{
		For:           kind,
		CRL:           cfg.CRL,
		Callers:       cfg.AllowedCertnames,
		Privileged:    cfg.PrivilegedUsers,
		LegacyBrokers: cfg.LegacyCertificates,
		Addresses:     addresses(cfg.MiddlewareHosts, cfg.FederationHosts),
		CipherSuites:  cfg.CipherSuites,
		Curves:        cfg.ECCCurves,
	}
	provider := cfg.SecurityProvider
	if provider == "" {
		provider = "puppet"
	}
	if provider != "puppet" && provider != "file" {
		return o, hint(fmt.Errorf("plugin.security.provider: %q is not supported: want puppet or file", provider),
			"with the files of a certificate, its key and the CA, use the provider file")
	}
	var err error
	if o.Name, err = certname(provider, kind, cfg.Identity, sys.uid, sys.getenv); err != nil {
		return o, err
	}
	if provider == "file" {
		o.Certificate, o.Key, o.CA = cfg.Certificate, cfg.CertificateKey, cfg.CA
		for _, need := range []struct{ key, value string }{
			{"plugin.security.file.certificate", o.Certificate},
			{"plugin.security.file.key", o.Key},
			{"plugin.security.file.ca", o.CA},
		} {
			if need.value == "" {
				return o, fmt.Errorf("%s: not set, the security provider file needs it", need.key)
			}
		}
		o.missing = "plugin.security.file.certificate and plugin.security.file.ca have to name files that are there"
		return o, nil
	}
	dir := cfg.SSLDir
	if dir == "" {
		if dir, err = puppetSSLDir(sys); err != nil {
			return o, err
		}
	}
	o.Certificate = filepath.Join(dir, "certs", o.Name+".pem")
	o.Key = filepath.Join(dir, "private_keys", o.Name+".pem")
	o.CA = filepath.Join(dir, "certs", "ca.pem")
	o.missing = fmt.Sprintf("request it: puppet ssl bootstrap --certname %s --ssldir %s; or set MCOLLECTIVE_CERTNAME to a certificate that is there", o.Name, dir)
	o.LegacyBrokers = true
	if o.CRL == "" {
		o.CRL, o.CRLOptional = filepath.Join(dir, "crl.pem"), true
	}
	return o, nil
}

// puppetSSLDir returns where Puppet keeps certificates: as root the directory of its own packages or
// that of distribution packages, otherwise the user's.
func puppetSSLDir(sys system) (string, error) {
	if sys.uid == 0 {
		const first = "/etc/puppetlabs/puppet/ssl"
		for _, dir := range []string{first, "/var/lib/puppet/ssl"} {
			if sys.isDir(dir) {
				return dir, nil
			}
		}
		return first, nil
	}
	home := sys.getenv("HOME")
	if home == "" {
		return "", hint(fmt.Errorf("plugin.choria.ssldir: not set, and there is no HOME to look in"),
			"set plugin.choria.ssldir to Puppet's ssldir")
	}
	return filepath.Join(home, ".puppetlabs", "etc", "puppet", "ssl"), nil
}

// addresses returns the IP addresses among lists of brokers, host:port with or without a scheme.
func addresses(lists ...[]string) []netip.Addr {
	var out []netip.Addr
	for _, list := range lists {
		for _, server := range list {
			if _, rest, found := strings.Cut(server, "://"); found {
				server = rest
			}
			if ap, err := netip.ParseAddrPort(strings.TrimSpace(server)); err == nil {
				out = append(out, ap.Addr())
			}
		}
	}
	return out
}
