package adapter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// stanProgram publishes to NATS Streaming. It is in a module of its own, go/sinks/stan, whose
// dependencies nobody maintains any more.
const stanProgram = "choria-sink-stan"

// stanHello is the first line that stanProgram gets; its Settings are the other side.
type stanHello struct {
	Servers  []string `json:"servers"` // URLs
	Cluster  string   `json:"cluster"`
	Client   string   `json:"client"`
	Topic    string   `json:"topic"`
	User     string   `json:"user,omitempty"`
	Password string   `json:"password,omitempty"`

	TLS         bool   `json:"tls,omitempty"`
	CA          string `json:"ca,omitempty"` // names of PEM files
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
}

// loadStan reads the settings of an adapter that publishes to NATS Streaming.
func loadStan(k keys, s *Settings) (opener, error) {
	// Source: protocol section 13: the topic is no template there.
	if !validSubject(s.Topic, false) {
		return nil, k.wrong("stream.topic", fmt.Errorf("%q: not a subject", s.Topic))
	}
	hello := stanHello{
		Cluster: k.text("stream.clusterid"), Client: fmt.Sprintf("%s_0-%s", s.Adapter.Name, protocol.NewID()), Topic: s.Topic,
		User: k.text("stream.user"), TLS: k.cfg.Bool(k.key("stream.tls")),
		CA: k.text("stream.tls.ca"), Certificate: k.text("stream.tls.certificate"), Key: k.text("stream.tls.key"),
	}
	if hello.Cluster == "" {
		return nil, k.wrong("stream.clusterid", errors.New("is not set, and nats_stream needs it"))
	}
	var err error
	if hello.Servers, err = k.brokers(); err != nil {
		return nil, err
	}
	if len(hello.Servers) == 0 {
		return nil, k.wrong("stream.servers", errors.New("is not set, and nats_stream needs it"))
	}
	if hello.Password, err = k.secret("stream.password_file"); err != nil {
		return nil, err
	}
	switch {
	case hello.User != "" && hello.Password == "":
		return nil, k.wrong("stream.password_file", errors.New("is not set, and stream.user is"))
	case hello.User == "" && hello.Password != "":
		return nil, k.wrong("stream.user", errors.New("is not set, and stream.password_file is"))
	}
	if _, err := k.tls(); err != nil { // what is wrong with the files is better said now
		return nil, err
	}
	path, err := findProgram(stanProgram)
	if err != nil {
		return nil, k.wrong("type", fmt.Errorf("nats_stream: %w", err))
	}
	p := &program{path: path, hello: hello}
	return func(o transport.Options, _ int) (Sink, error) { return p.open(o.Log), nil }, nil
}

// findProgram looks beside the program that runs, where its package is when that is in bin, and where all
// programs are.
func findProgram(name string) (string, error) {
	if own, err := os.Executable(); err == nil {
		bin := filepath.Dir(own)
		for _, path := range []string{filepath.Join(bin, name), filepath.Join(filepath.Dir(bin), "libexec", "choria", name)} {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &missingProgram{name}
	}
	return filepath.Abs(path)
}

// A missingProgram is one that is in a package of its own.
type missingProgram struct{ name string }

func (e *missingProgram) Error() string {
	return fmt.Sprintf("the program %s is neither beside choria-broker nor in PATH", e.name)
}

// Hint returns what to do about it.
func (e *missingProgram) Hint() string { return "install the package " + e.name }
