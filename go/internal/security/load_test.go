package security

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/security/pki"
)

// configure returns the configuration that key, value, key, value… describe.
func configure(t *testing.T, settings ...string) *config.Config {
	t.Helper()
	cfg := config.New()
	for i := 0; i < len(settings); i += 2 {
		if err := cfg.Set(settings[i], settings[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const aio, deb = "/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/ssl"
	tests := []struct {
		name     string
		settings []string
		kind     For
		uid      int
		env      string
		dirs     string // directories that exist
		cert     string
		crl      string
		err      string
	}{
		{
			name: "puppet's own packages", kind: ForServer, dirs: aio + " " + deb,
			cert: aio + "/certs/n1.pem", crl: aio + "/crl.pem",
		},
		{
			name: "distribution", kind: ForServer, dirs: deb,
			cert: deb + "/certs/n1.pem", crl: deb + "/crl.pem",
		},
		{name: "neither", kind: ForServer, cert: aio + "/certs/n1.pem", crl: aio + "/crl.pem"},
		{
			name: "user", kind: ForClient, uid: 1000, env: "USER=rip HOME=/home/rip", dirs: aio,
			cert: "/home/rip/.puppetlabs/etc/puppet/ssl/certs/rip.mcollective.pem", crl: "/home/rip/.puppetlabs/etc/puppet/ssl/crl.pem",
		},
		{name: "no home", kind: ForClient, uid: 1000, env: "USER=rip", err: "plugin.choria.ssldir: not set, and there is no HOME"},
		{
			name: "ssldir", kind: ForServer, dirs: aio, settings: []string{"plugin.choria.ssldir", "/ssl"},
			cert: "/ssl/certs/n1.pem", crl: "/ssl/crl.pem",
		},
		{
			name: "list elsewhere", kind: ForServer, settings: []string{"plugin.choria.ssldir", "/ssl", "plugin.security.file.crl", "/crl"},
			cert: "/ssl/certs/n1.pem", crl: "/crl",
		},
		{
			name: "file", kind: ForServer,
			settings: []string{"plugin.security.provider", "file", "plugin.security.file.certificate", "/c", "plugin.security.file.key", "/k", "plugin.security.file.ca", "/ca"},
			cert:     "/c",
		},
		{
			name: "file without a key", kind: ForServer,
			settings: []string{"plugin.security.provider", "file", "plugin.security.file.certificate", "/c", "plugin.security.file.ca", "/ca"},
			err:      "plugin.security.file.key: not set",
		},
		{
			name: "another provider", kind: ForServer, settings: []string{"plugin.security.provider", "pkcs11"},
			err: `plugin.security.provider: "pkcs11" is not supported: want puppet or file`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := configure(t, append([]string{"identity", "n1"}, tt.settings...)...)
			o, err := options(cfg, tt.kind, system{
				uid:    tt.uid,
				getenv: environment(tt.env),
				isDir: func(path string) bool {
					for _, d := range strings.Fields(tt.dirs) {
						if d == path {
							return true
						}
					}
					return false
				},
			})
			check(t, "options", err, tt.err)
			if err != nil {
				return
			}
			if o.Certificate != tt.cert || o.CRL != tt.crl {
				t.Errorf("certificate %q, list %q; want %q, %q", o.Certificate, o.CRL, tt.cert, tt.crl)
			}
			if puppet := cfg.SecurityProvider != "file"; o.LegacyBrokers != puppet {
				t.Errorf("LegacyBrokers %v", o.LegacyBrokers)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	got := addresses([]string{"nats://10.1.2.3:4222", "broker:4222", " [::1]:4222 "}, []string{"tls://[fd00::1]:1", "10.0.0.1"})
	if fmt.Sprint(got) != "[10.1.2.3 ::1 fd00::1]" {
		t.Errorf("got %v", got)
	}
}

// TestLoad goes from a configuration to a verified request, with both providers.
func TestLoad(t *testing.T) {
	t.Setenv("MCOLLECTIVE_CERTNAME", "rip.mcollective")
	s := newSite(t)
	o, _ := s.issue(pki.Request{Name: "rip.mcollective", RSA: true})
	for name, settings := range map[string][]string{
		"puppet": {"plugin.choria.ssldir", s.dir},
		"file": {
			"plugin.security.provider", "file",
			"plugin.security.file.certificate", o.Certificate,
			"plugin.security.file.key", o.Key,
			"plugin.security.file.ca", o.CA,
			"plugin.security.file.crl", o.CRL,
		},
	} {
		id, err := Load(configure(t, settings...), ForClient, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if id.Name() != "rip.mcollective" || id.Caller() != "choria=rip.mcollective" {
			t.Errorf("%s: name %q, caller %q", name, id.Name(), id.Caller())
		}
		if left := time.Until(id.Expires()); left < 9*365*24*time.Hour || left > 11*365*24*time.Hour {
			t.Errorf("%s: expires in %v, want ten years", name, left)
		}
		sig, cert, err := id.Sign([]byte("message"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		check(t, name, id.Verify([]byte("message"), sig, cert, id.Caller(), time.Now()), "")
	}
	for _, tt := range []struct {
		settings  []string
		err, hint string
	}{
		{
			[]string{"plugin.choria.ssldir", s.dir, "plugin.security.file.crl", "/none"},
			"revocation list /none: no such file", "",
		},
		{
			[]string{"plugin.security.provider", "file", "plugin.security.file.certificate", "/none", "plugin.security.file.key", o.Key, "plugin.security.file.ca", o.CA},
			"certificate /none: no such file", "plugin.security.file.certificate",
		},
		{
			[]string{"plugin.choria.ssldir", "/nowhere"},
			"CA /nowhere/certs/ca.pem: no such file", "puppet ssl bootstrap --certname rip.mcollective --ssldir /nowhere",
		},
	} {
		_, err := Load(configure(t, tt.settings...), ForClient, nil)
		check(t, "load", err, tt.err)
		if !strings.Contains(hintOf(err), tt.hint) {
			t.Errorf("%v: hint %q, want %q in it", err, hintOf(err), tt.hint)
		}
	}
	t.Setenv("MCOLLECTIVE_CERTNAME", "ann.mcollective")
	_, err := Load(configure(t, "plugin.choria.ssldir", s.dir), ForClient, nil)
	check(t, "no such certificate", err, "certificate "+s.dir+"/certs/ann.mcollective.pem: no such file")
	if want := "--certname ann.mcollective --ssldir " + s.dir; !strings.Contains(hintOf(err), want) {
		t.Errorf("hint %q, want %q in it", hintOf(err), want)
	}
}

// TestVectorFiles loads all kinds of keys there are.
func TestVectorFiles(t *testing.T) {
	t.Parallel()
	for name, signs := range map[string]bool{
		"n1.example.net":               true, // PKCS#1
		"cnonly-pkcs8.mcollective":     true,
		"admin.privileged.mcollective": true,
		"nosan.mcollective":            true,
		"ec.mcollective":               false,
		"ed.mcollective":               false,
	} {
		id := mustNew(t, vectorOptions(t, name))
		sig, cert, err := id.Sign([]byte("x"))
		if !signs {
			check(t, name, err, " key, requests are signed with RSA")
			if sig != nil || cert != nil {
				t.Errorf("%s: signed all the same", name)
			}
			if hintOf(err) == "" {
				t.Errorf("%s: no hint", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := read(t, vectorOptions(t, name).Certificate); string(cert) != string(want) {
			t.Errorf("%s: carries %q, want %q", name, cert, want)
		}
	}
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	good, pair := s.issue(pki.Request{Name: "n1"})
	stranger, _ := other.issue(pki.Request{Name: "n1"})
	dir := t.TempDir()
	file := func(data []byte) string {
		f, err := os.CreateTemp(dir, "*.pem")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	issued := func(r pki.Request) func(*Options) {
		r.Name = "odd"
		p, err := s.ca.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		return func(o *Options) { o.Certificate, o.Key = file(p.Cert), file(p.Key) }
	}
	mode := func(m os.FileMode) func(*Options) {
		return func(o *Options) {
			o.Key = file(pair.Key)
			if err := os.Chmod(o.Key, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	text := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	tests := []struct {
		name   string
		change func(*Options)
		err    string // FILE stands for a name in dir
		hint   string
	}{
		{"unchanged", func(*Options) {}, "", ""},
		{"no name", func(o *Options) { o.Name = "a b" }, `certificate name "a b": want letters`, ""},
		{"certificate missing", func(o *Options) { o.Certificate = dir + "/none" }, "certificate " + dir + "/none: no such file", ""},
		{"certificate not set", func(o *Options) { o.Certificate = "" }, "certificate: no file is configured", ""},
		{"certificate is a directory", func(o *Options) { o.Certificate = dir }, "certificate " + dir + ": is a directory", ""},
		{"no certificate", func(o *Options) { o.Certificate = o.Key }, "holds no PEM certificate", ""},
		{"broken certificate", func(o *Options) { o.Certificate = file(text) }, "certificate " + dir, ""},
		{"huge certificate", func(o *Options) { o.Certificate = file(make([]byte, maxFile+1)) }, "longer than 1048576 bytes", ""},
		{"expired", issued(pki.Request{NotAfter: time.Now().Add(-time.Minute)}), "expired on 2", "new certificate"},
		{"not yet valid", issued(pki.Request{NotBefore: time.Now().Add(time.Hour)}), "not valid before 2", "clock"},
		{"not for clients", issued(pki.Request{NoClient: true}), "not for client authentication", "extended key usage"},
		{"broker needs no client use", func(o *Options) { issued(pki.Request{NoClient: true})(o); o.For = ForBroker }, "", ""},
		{"another CA", func(o *Options) { o.CA = stranger.CA; o.CRL = "" }, "not issued by an authority in " + stranger.CA, "same authority"},
		{"key missing", func(o *Options) { o.Key = dir + "/none" }, "key " + dir + "/none: no such file", ""},
		{"another key", func(o *Options) { o.Key = stranger.Key }, "does not belong to the certificate " + good.Certificate, "right key"},
		{"key is a certificate", func(o *Options) { o.Key = file(pair.Cert) }, "holds no PEM private key", ""},
		{"broken key", func(o *Options) {
			o.Key = file([]byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
		}, "key " + dir, ""},
		{"key for all", mode(0o644), "mode 0644 lets others use it", "chmod 0600 " + dir},
		{"key written by the group", mode(0o660), "mode 0660 lets others use it", "chmod 0600"},
		{"key of puppet", mode(0o640), "", ""},
		{"key read-only", mode(0o400), "", ""},
		{"CA missing", func(o *Options) { o.CA = dir + "/none" }, "CA " + dir + "/none: no such file", ""},
		{"CA empty", func(o *Options) { o.CA = file(nil) }, "holds no PEM certificate", ""},
		{"list missing", func(o *Options) { o.CRL = dir + "/none" }, "revocation list " + dir + "/none: no such file", ""},
		{"list may be missing", func(o *Options) { o.CRL = dir + "/none"; o.CRLOptional = true }, "", ""},
		{"list empty", func(o *Options) { o.CRL = file(nil) }, "holds no PEM revocation list", ""},
		{"list broken", func(o *Options) { o.CRL = file([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")) }, "revocation list " + dir, ""},
		{"list of a namesake", func(o *Options) { o.CRL = stranger.CRL }, "revocation list " + stranger.CRL + `: list of "Test CA": x509: `, ""},
		{"pattern", func(o *Options) { o.Callers = []string{"("} }, "plugin.choria.security.certname_whitelist", ""},
		{"privileged", func(o *Options) { o.Privileged = []string{"("} }, "plugin.choria.security.privileged_users", ""},
		{"cipher suite", func(o *Options) { o.CipherSuites = []string{"TLS_RSA_WITH_RC4_128_SHA"} }, `plugin.security.cipher_suites: "TLS_RSA_WITH_RC4_128_SHA": want one of TLS_AES_128_GCM_SHA256, `, ""},
		{"curve", func(o *Options) { o.Curves = []string{"P256"} }, `plugin.security.ecc_curves: "P256": want one of X25519, CurveP256, CurveP384, CurveP521`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			_, err := New(o)
			check(t, tt.name, err, tt.err)
			if got := hintOf(err); !strings.Contains(got, tt.hint) || (tt.hint == "") != (got == "") {
				t.Errorf("hint %q, want %q in it", got, tt.hint)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("the message shows the key: %v", err)
			}
		})
	}

	s.revoke(pair)
	_, err := New(good)
	check(t, "revoked", err, "certificate "+good.Certificate+`: revoked: certificate "n1" with serial number 2`)
}

func TestEncryptedKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o, _ := s.issue(pki.Request{Name: "n1"})
	for name, block := range map[string]*pem.Block{
		"PKCS#8": {Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")},
		"traditional": {
			Type: "RSA PRIVATE KEY", Bytes: []byte("secret"),
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
		},
	} {
		encrypted := o
		encrypted.Key = write(t, filepath.Join(t.TempDir(), "key"), pem.EncodeToMemory(block))
		_, err := New(encrypted)
		check(t, name, err, "key "+encrypted.Key+": encrypted with a passphrase")
		if !strings.Contains(hintOf(err), "openssl pkey -in "+encrypted.Key) {
			t.Errorf("%s: hint %q", name, hintOf(err))
		}
	}
}

// TestWarnAboutName looks for the one thing a client can know about being ignored by all nodes.
func TestWarnAboutName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rip, _ := s.issue(pki.Request{Name: "rip.mcollective"})
	admin, _ := s.issue(pki.Request{Name: "x.privileged.mcollective"})
	for _, tt := range []struct {
		o    Options
		name string
		kind For
		want int
	}{
		{rip, "rip.mcollective", ForClient, 0},
		{rip, "root.mcollective", ForClient, 1},
		{rip, "root.mcollective", ForServer, 0},
		{admin, "root.mcollective", ForClient, 0},
	} {
		var log logBuffer
		tt.o.Name, tt.o.For, tt.o.Log = tt.name, tt.kind, log.logger()
		mustNew(t, tt.o)
		if got := log.count("nodes will refuse requests"); got != tt.want {
			t.Errorf("%s for %s, kind %d: %d warnings, want %d", tt.o.Certificate, tt.name, tt.kind, got, tt.want)
		}
	}
}
