package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/enroll"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// enrollWait is how long a signature is waited for: a person fetches somebody who may sign.
const enrollWait = "30m"

// An enrollCommand is one run of the command enroll.
type enrollCommand struct {
	*env
	name        string
	ca          string
	fingerprint string
	dir         string
	dns         []string
	bits        int
	wait        seconds
}

func addEnroll(e *env, app *kingpin.Application) {
	cmd := app.Command("enroll", "Gets a certificate from a Puppet CA.")
	addEnrollFlags(e, cmd, "enroll")
}

// addChoria is the place of request_cert, as people know it.
func addChoria(e *env, app *kingpin.Application) {
	group := app.Command("choria", "Commands under the names they had in mco.").Hidden()
	addEnrollFlags(e, group.Command("request_cert", "Gets a certificate from a Puppet CA."), "choria request_cert")
}

func addEnrollFlags(e *env, cmd *kingpin.CmdClause, name string) {
	c := &enrollCommand{env: e}
	cmd.HelpLong(fmt.Sprintf(`Makes a key, fetches the certificate of the CA, sends a request and waits until somebody signs it. People
get a certificate called USER.mcollective below ~/.puppetlabs/etc/puppet/ssl. Nothing is overwritten, and
the same command goes on where it was interrupted.

Examples:
  %[1]s %[2]s
  %[1]s %[2]s --ca puppet.example.net --ca-fingerprint 9F:86:D0:81:...
  %[1]s %[2]s --certname ci.mcollective --ssldir ./ssl --wait 0

Exit status: 1 when there is no certificate, also because it is not signed yet.
`, e.name, name))
	cmd.Flag("certname", "Name of the certificate in place of USER.mcollective").PlaceHolder("NAME").StringVar(&c.name)
	cmd.Flag("ca", "Where the Puppet CA answers, in place of what is configured and of SRV records").PlaceHolder("HOST[:PORT]").StringVar(&c.ca)
	cmd.Flag("ca-fingerprint", "Refuse a CA whose certificate has another SHA-256").PlaceHolder("SHA256").StringVar(&c.fingerprint)
	cmd.Flag("ssldir", "Directory of certificates and keys, in place of what is configured").PlaceHolder("DIR").StringVar(&c.dir)
	cmd.Flag("dns", "Further name to be in the certificate (repeatable)").PlaceHolder("NAME").StringsVar(&c.dns)
	cmd.Flag("bits", "Length of a new RSA key").Default("2048").IntVar(&c.bits)
	cmd.Flag("wait", "Longest time to wait for the signature, 30m; 0 does not wait").Default(enrollWait).PlaceHolder("SECONDS").SetValue(&c.wait)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *enrollCommand) run() error {
	cfg, err := config.LoadClient(c.config)
	if errors.Is(err, fs.ErrNotExist) && c.config == "" {
		cfg, err = config.New(), nil // whoever has no certificate yet may well have nothing else
	}
	if err != nil {
		return err
	}
	if c.dir != "" {
		dir, err := filepath.Abs(c.dir)
		if err != nil {
			return err
		}
		if err := cfg.Set("plugin.choria.ssldir", dir); err != nil {
			return err
		}
	}
	if cfg.SecurityProvider == "file" {
		return withHint(errors.New("plugin.security.provider: file: its certificates do not come from a Puppet CA"),
			"put the files in place that plugin.security.file.certificate, key and ca name")
	}
	id, err := security.Describe(cfg, security.ForClient, c.name)
	if err != nil {
		return err
	}
	servers, err := c.servers(cfg)
	if err != nil {
		return err
	}
	p := &enrollProgress{screen: screenOn(c.stdout, true), command: c, name: id.Name}
	cert, err := (&enroll.Request{
		Name:        id.Name,
		Certificate: id.Certificate,
		Key:         id.Key,
		CA:          id.CA,
		CSR:         filepath.Join(filepath.Dir(filepath.Dir(id.Certificate)), "certificate_requests", id.Name+".pem"),
		Servers:     servers,
		Fingerprint: c.fingerprint,
		DNS:         c.dns,
		Bits:        c.bits,
		Wait:        time.Duration(c.wait),
		Progress:    p,
	}).Run(c.ctx)
	p.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Certificate: %s\n  valid until %s\n", id.Certificate, cert.NotAfter.UTC().Format(time.DateTime+" UTC"))
	return nil
}

// servers returns where the CA answers.
func (c *enrollCommand) servers(cfg *config.Config) ([]string, error) {
	if c.ca == "" {
		return (&transport.Finder{Config: cfg, Log: c.log()}).PuppetCA(c.ctx), nil
	}
	host, port := c.ca, strconv.Itoa(cfg.PuppetCAPort)
	if h, p, err := net.SplitHostPort(c.ca); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, "/@ ") {
		return nil, fmt.Errorf("--ca %q: want a host name, with a port behind a colon if it is not %d", c.ca, cfg.PuppetCAPort)
	}
	return []string{net.JoinHostPort(host, port)}, nil
}

// An enrollProgress tells people what happens.
type enrollProgress struct {
	screen  *screen
	command *enrollCommand
	name    string
	began   bool          // waiting
	told    time.Duration // when it was last said that we are waiting
}

// CA implements enroll.Progress.
func (p *enrollProgress) CA(server, path string, certs []*x509.Certificate, fetched bool) {
	switch {
	case fetched && p.command.fingerprint == "":
		p.screen.printf("CA certificate: fetched from %s, not verified: compare the fingerprint\n", server)
	case fetched:
		p.screen.printf("CA certificate: fetched from %s, with the fingerprint that was given\n", server)
	default:
		p.screen.printf("CA certificate: %s\n", printable(path))
	}
	for _, c := range certs {
		p.screen.printf("  %s\n  SHA256 %s\n", printable(c.Subject.CommonName), enroll.Fingerprint(c.Raw))
	}
}

// Key implements enroll.Progress.
func (p *enrollProgress) Key(path string, made bool) {
	state := "the one that is there"
	if made {
		state = "new"
	}
	p.screen.printf("Key: %s, %s\n", printable(path), state)
}

// Requested implements enroll.Progress.
func (p *enrollProgress) Requested(fingerprint string, sent bool) {
	state := "sent"
	if !sent {
		state = "the CA has it already"
	}
	p.screen.printf("Request for %s: %s\n  SHA256 %s\n", p.name, state, fingerprint)
}

// Waiting implements enroll.Progress: a clock on a terminal, a line a minute elsewhere.
func (p *enrollProgress) Waiting(elapsed time.Duration, err error) {
	if p.command.wait == 0 {
		return
	}
	if !p.began {
		p.began = true
		p.screen.printf("Waiting for the signature, asking every 10 s. On the CA:\n  puppetserver ca sign --certname %s\n", p.name)
	}
	note := ""
	if err != nil {
		note = ", " + printable(err.Error())
	}
	switch {
	case terminal(p.screen.Writer):
		p.screen.printf("\r\x1b[K  %s%s", elapsed.Round(time.Second), note)
	case elapsed-p.told >= time.Minute || err != nil:
		p.told = elapsed
		p.screen.printf("  waiting for %s%s\n", elapsed.Round(time.Second), note)
	}
}

// end ends the line of the clock.
func (p *enrollProgress) end() {
	if p.began && terminal(p.screen.Writer) {
		p.screen.printf("\n")
	}
}
