package adapter

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/transport"
)

// An opener makes the sink of output worker n. o says how this process connects to brokers.
type opener func(o transport.Options, n int) (Sink, error)

// A sinkType is one kind of sink.
type sinkType struct {
	protocol string // what its documents say they are

	// load reads the settings that only this kind has, and checks the topic, which is set in s.
	load func(k keys, s *Settings) (opener, error)
}

// sinkTypes are the kinds there are, by the type of an adapter. Each is one file and one line here.
var sinkTypes = map[string]sinkType{
	"choria_streams": {streamsProtocol, loadStreams},
	"jetstream":      {streamsProtocol, loadStreams}, // its former name
	"kafka":          {streamsProtocol, loadKafka},
	"elasticsearch":  {streamsProtocol, loadElastic},
	"opensearch":     {streamsProtocol, loadElastic}, // they have the bulk interface in common
	"nats_stream":    {stanProtocol, loadStan},
}

func sinkNames() string { return strings.Join(slices.Sorted(maps.Keys(sinkTypes)), ", ") }

// keys are the settings of one adapter.
type keys struct {
	cfg     *config.Config
	adapter string
	asked   map[string]bool // which of them anybody has asked for
}

// key returns the whole name of a setting.
func (k keys) key(name string) string {
	k.asked[name] = true
	return k.prefix() + name
}

func (k keys) prefix() string { return "plugin.choria.adapter." + k.adapter + "." }

// ignored returns those that were set and that nobody has asked for: they are of other types.
func (k keys) ignored() []string {
	var all []string
	for name := range k.cfg.Section(k.prefix()) {
		if _, _, known := k.cfg.Value(k.prefix() + name); known && !k.asked[name] {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func (k keys) text(name string) string { return k.cfg.Text(k.key(name)) }

func (k keys) list(name string) []string {
	var all []string
	for _, item := range k.cfg.List(k.key(name)) {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// wrong says where the setting stands that err is about.
func (k keys) wrong(name string, err error) error {
	return fmt.Errorf("%s%s: %w", k.place(name), k.key(name), err)
}

// place returns where a setting stands, or would have to, as the start of a message.
func (k keys) place(name string) string {
	if _, src, ok := k.cfg.Raw(k.key(name)); ok && src.Line > 0 {
		return src.String() + ": "
	}
	if file := k.cfg.File(); file != "" {
		return file + ": "
	}
	return ""
}

// brokers returns stream.servers as URLs of NATS.
func (k keys) brokers() ([]string, error) {
	var all []string
	for _, item := range k.list("stream.servers") {
		u, err := config.ParseHost(item)
		if err != nil {
			return nil, k.wrong("stream.servers", err)
		}
		all = append(all, u.String())
	}
	return all, nil
}

// maxSecret is more than any password and any key of an interface has.
const maxSecret = 4096

// secret returns the first line of the file that a setting names, empty without one. The file must not
// be readable by others.
func (k keys) secret(name string) (string, error) {
	path := k.text(name)
	if path == "" {
		return "", nil
	}
	text, err := readSecret(path)
	if err != nil {
		return "", k.wrong(name, err)
	}
	return text, nil
}

func readSecret(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q: want an absolute path", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("%s: mode %04o lets others read it: chmod 0600", path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("%s: its first line is empty", path)
	}
	return line, nil
}

// tls returns how to speak TLS to a sink that is no broker: with the authorities of the system or of
// stream.tls.ca, and with a certificate where one is set.
func (k keys) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := k.text("stream.tls.ca"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, k.wrong("stream.tls.ca", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, k.wrong("stream.tls.ca", fmt.Errorf("%s: holds no PEM certificate", path))
		}
	}
	cert, key := k.text("stream.tls.certificate"), k.text("stream.tls.key")
	switch {
	case cert == "" && key == "":
		return c, nil
	case key == "":
		return nil, k.wrong("stream.tls.key", errors.New("is not set, and stream.tls.certificate is"))
	case cert == "":
		return nil, k.wrong("stream.tls.certificate", errors.New("is not set, and stream.tls.key is"))
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, k.wrong("stream.tls.certificate", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// all returns err for each message of a batch.
func all(batch []Message, err error) []error {
	return slices.Repeat([]error{err}, len(batch))
}
