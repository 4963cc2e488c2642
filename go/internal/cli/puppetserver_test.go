//go:build puppetserver

package cli_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/internal/enroll"
)

// These tests use a real Puppet Server with its CA and a real PuppetDB. scripts/with-puppetserver
// starts them and tells in the environment where they are; make test-puppetserver does both.

func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run these tests with make test-puppetserver", name)
	}
	return value
}

// A person has a home and runs choria, as a user who is not root.
type person struct {
	t    *testing.T
	user string
	home string
	bin  string
}

// nobody is the user that people are when the tests run as root.
const nobody = 65534

// build makes the program, in the directory that scripts/with-puppetserver removes at the end.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Dir(os.Getenv("CHORIA_TEST_PUPPET_CONF"))), "bin")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "mco")
	out, err := exec.Command("go", "build", "-o", bin, "choria.io/choria/go/cmd/choria").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, os.Chmod(dir, 0o755)
})

func newPerson(t *testing.T, user string) *person {
	t.Helper()
	setting(t, "CHORIA_TEST_PUPPET_CONF")
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "home-"+user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if os.Geteuid() == 0 {
		if err := os.Chown(home, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return &person{t: t, user: user, home: home, bin: bin}
}

func (p *person) ssl(parts ...string) string {
	return filepath.Join(append([]string{p.home, ".puppetlabs", "etc", "puppet", "ssl"}, parts...)...)
}

func (p *person) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Dir = p.home
	cmd.Env = []string{"HOME=" + p.home, "USER=" + p.user, "PATH=" + os.Getenv("PATH")}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// run runs choria and returns its exit status and all that it printed.
func (p *person) run(args ...string) (int, string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	out, err := p.command(ctx, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// enroll enrols p at the real CA.
func (p *person) enroll(args ...string) (int, string) {
	p.t.Helper()
	return p.run(append([]string{"enroll", "--ca", setting(p.t, "CHORIA_TEST_PUPPETSERVER")}, args...)...)
}

// puppetCA runs puppetserver ca.
func puppetCA(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "puppetserver", append([]string{"ca"}, append(args, "--config", setting(t, "CHORIA_TEST_PUPPET_CONF"))...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && args[0] == "clean" && exit.ExitCode() == 24 { // there was a request, but no certificate
		return string(out)
	}
	if err != nil {
		t.Fatalf("puppetserver ca %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// caFingerprint is that of the signing certificate of the real CA.
func caFingerprint(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(setting(t, "CHORIA_TEST_PUPPET_CONF"))), "ca", "ca_crt.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("the CA has no certificate")
	}
	return enroll.Fingerprint(block.Bytes)
}

func contains(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s: there is no %q in\n%s", what, want, text)
		}
	}
}

func TestEnrollSignedAtOnce(t *testing.T) {
	p := newPerson(t, "ann.automatic")
	sum := caFingerprint(t)
	status, out := p.enroll("--ca-fingerprint", sum)
	if status != 0 {
		t.Fatalf("exit status %d: %s", status, out)
	}
	contains(t, "enroll", out, "with the fingerprint that was given", sum, "Key: "+p.ssl("private_keys", "ann.automatic.mcollective.pem")+", new",
		"Request for ann.automatic.mcollective: sent", "Certificate: "+p.ssl("certs", "ann.automatic.mcollective.pem"))
	if info, err := os.Stat(p.ssl("private_keys", "ann.automatic.mcollective.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	data, err := os.ReadFile(p.ssl("certs", "ann.automatic.mcollective.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || cert.Subject.CommonName != "ann.automatic.mcollective" || !strings.HasPrefix(cert.Issuer.CommonName, "Puppet CA") {
		t.Errorf("certificate %v, %v", cert.Subject, err)
	}

	status, out = p.enroll()
	if status != 1 {
		t.Errorf("again: exit status %d", status)
	}
	contains(t, "again", out, "is there already", "hint: nothing is overwritten", "puppetserver ca clean --certname ann.automatic.mcollective")

	// The certificate is lost here, but not at the CA.
	if err := os.Remove(p.ssl("certs", "ann.automatic.mcollective.pem")); err != nil {
		t.Fatal(err)
	}
	if status, out = p.enroll(); status != 0 {
		t.Errorf("lost certificate: exit status %d: %s", status, out)
	}

	other := newPerson(t, "ann.automatic")
	status, out = other.enroll()
	contains(t, "another machine", out, "has signed one for another key", "puppetserver ca clean")
	if status != 1 {
		t.Errorf("another machine: exit status %d", status)
	}
}

func TestEnrollSignedByHand(t *testing.T) {
	p := newPerson(t, "bob")
	status, out := p.enroll("--wait", "0")
	if status != 1 {
		t.Errorf("not signed: exit status %d", status)
	}
	contains(t, "not signed", out, "not verified: compare the fingerprint", caFingerprint(t), "error: certificate bob.mcollective: not signed yet",
		"hint: on the CA, "+setting(t, "CHORIA_TEST_PUPPETSERVER")+": puppetserver ca sign --certname bob.mcollective")

	// What we show is what the operator sees.
	sum := regexp.MustCompile(`(?s)Request for .*?SHA256 ([0-9A-F:]+)`).FindStringSubmatch(out)
	if sum == nil {
		t.Fatalf("no fingerprint in %s", out)
	}
	contains(t, "puppetserver ca list", puppetCA(t, "list"), "bob.mcollective", sum[1])

	other := newPerson(t, "bob")
	status, out = other.enroll()
	contains(t, "another machine", out, "a request with another key is waiting", sum[1])
	if status != 1 {
		t.Errorf("another machine: exit status %d", status)
	}

	// The same command goes on, under its old name too, and notices the signature.
	r, w := io.Pipe()
	cmd := p.command(t.Context(), "choria", "request_cert", "--ca", setting(t, "CHORIA_TEST_PUPPETSERVER"), "--wait", "120")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { err := cmd.Wait(); w.Close(); done <- err }()
	var all bytes.Buffer
	signed := false
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if !signed && strings.Contains(all.String(), "Waiting for the signature") {
			signed = true
			puppetCA(t, "sign", "--certname", "bob.mcollective")
		}
		if err != nil {
			break
		}
	}
	if err := <-done; err != nil || !signed {
		t.Errorf("waiting: %v", err)
	}
	contains(t, "waiting", all.String(), "the one that is there", "the CA has it already", sum[1], "Certificate: ")
}

func TestEnrollRefused(t *testing.T) {
	p := newPerson(t, "eve.automatic")
	status, out := p.enroll("--ca-fingerprint", strings.Repeat("00:", 31)+"00")
	contains(t, "wrong fingerprint", out, "is not the one with the given fingerprint", caFingerprint(t))
	if _, err := os.Stat(p.ssl()); status != 1 || err == nil {
		t.Errorf("wrong fingerprint: exit status %d, and the directory is there: %v", status, err == nil)
	}
	status, out = p.enroll("--dns", "broker.example.net")
	contains(t, "alternative names", out, "400", "hint: leave out --dns, or set allow-subject-alt-names")
	if status != 1 {
		t.Errorf("alternative names: exit status %d", status)
	}
	status, out = p.enroll()
	contains(t, "without them", out, `a request for the names ["broker.example.net"] is waiting`, "puppetserver ca clean")
	if status != 1 {
		t.Errorf("without them: exit status %d", status)
	}
	puppetCA(t, "clean", "--certname", "eve.automatic.mcollective")
	if status, out = p.enroll(); status != 0 {
		t.Errorf("when the CA has forgotten: exit status %d: %s", status, out)
	}
	p = newPerson(t, "eve2.automatic")
	_, port, _ := net.SplitHostPort(setting(t, "CHORIA_TEST_PUPPETSERVER"))
	status, out = p.run("enroll", "--ca", "127.0.0.1:"+port)
	contains(t, "by address", out, "name it as its certificate does: localhost, puppet")
	if status != 1 {
		t.Errorf("by address: exit status %d", status)
	}
}

// TestEnrollInterrupted is about the person who has waited long enough.
func TestEnrollInterrupted(t *testing.T) {
	p := newPerson(t, "carol")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, w := io.Pipe()
	cmd := p.command(ctx, "enroll", "--ca", setting(t, "CHORIA_TEST_PUPPETSERVER"))
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { err := cmd.Wait(); w.Close(); done <- err }()
	var all bytes.Buffer
	buf := make([]byte, 4096)
	sent := false
	for {
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if !sent && strings.Contains(all.String(), "Waiting for the signature") {
			sent = true
			_ = cmd.Process.Signal(os.Interrupt)
		}
		if err != nil {
			break
		}
	}
	var exit *exec.ExitError
	if err := <-done; !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("%v, want exit status 130", err)
	}
	contains(t, "interrupted", all.String(), "error: interrupted")
}
