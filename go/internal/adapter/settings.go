package adapter

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/transport"
)

// Settings are what the configuration says of one adapter.
type Settings struct {
	// Adapter lacks how to connect, who is believed and the sink.
	Adapter *Adapter

	Topic   string   // subject, topic or index to publish to; %s stands for the sender
	Servers []string // URLs of brokers to publish to; empty: the ones that are received from
	Verify  bool     // publish only requests whose signature is good

	open opener

	// Warnings are what was accepted but deserves one.
	Warnings []string
}

// Load returns the settings of all adapters of cfg.
func Load(cfg *config.Config) ([]Settings, error) {
	var all []Settings
	names, spills := map[string]bool{}, map[string]string{}
	for _, name := range cfg.Adapters {
		if !validName(name) {
			return nil, fmt.Errorf("plugin.choria.adapters: %q: want a name of letters, digits and _ -, at most 64", name)
		}
		if names[name] {
			return nil, fmt.Errorf("plugin.choria.adapters: %q stands there twice", name)
		}
		names[name] = true
		s, err := load(cfg, name)
		if err != nil {
			return nil, fmt.Errorf("adapter %q: %w", name, err)
		}
		if dir := s.Adapter.SpillDir; dir != "" {
			if other := spills[dir]; other != "" {
				return nil, fmt.Errorf("adapter %q: %s: %s is that of adapter %q", name, s.Adapter.SpillSetting, dir, other)
			}
			spills[dir] = name
		}
		all = append(all, s)
	}
	return all, nil
}

func load(cfg *config.Config, name string) (Settings, error) {
	keys := keys{cfg, name, map[string]bool{}}
	key, wrong := keys.key, keys.wrong
	kind := keys.text("type")
	sink, ok := sinkTypes[kind]
	switch {
	case kind == "":
		return Settings{}, wrong("type", fmt.Errorf("is not set: want one of %s", sinkNames()))
	case !ok:
		return Settings{}, wrong("type", fmt.Errorf("%q is not supported: want one of %s", kind, sinkNames()))
	}
	s := Settings{
		Adapter: &Adapter{
			Name: name, Identity: cfg.Identity,
			Kind:          Replies,
			Subject:       cfg.Text(key("ingest.topic")),
			DeadLetters:   cfg.Text(key("dead_letters")),
			SpillDir:      cfg.Text(key("spill.directory")),
			SpillBytes:    int64(cfg.Int(key("spill.max_size"))),
			Workers:       cfg.Int(key("ingest.workers")),
			OutputWorkers: cfg.Int(key("stream.workers")),
			QueueLength:   cfg.Int(key("queue_len")),
			Protocol:      sink.protocol,
		},
		Topic:  cfg.Text(key("stream.topic")),
		Verify: cfg.Bool(key("ingest.verify")),
	}
	a := s.Adapter
	switch p := cfg.Text(key("ingest.protocol")); p {
	case string(Requests):
		a.Kind = Requests
	case string(Replies):
	default: // anything else is reply, by protocol section 13
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s%s: %q is taken for reply", keys.place("ingest.protocol"), key("ingest.protocol"), p))
	}
	if a.DeadLetters == "" {
		a.DeadLetters = "choria.adapter." + name + ".dead_letters"
	}
	if s.Topic == "" {
		s.Topic = name
	}
	a.SpillSetting = keys.place("spill.directory") + key("spill.directory")
	if a.SpillDir == "" {
		dir := cfg.StreamStore
		if dir == "" {
			dir = config.StateDirectory()
			a.SpillOptional = true
		}
		if dir != "" {
			a.SpillDir = filepath.Join(dir, "adapters", name)
		}
	}
	if a.SpillDir != "" && !filepath.IsAbs(a.SpillDir) {
		return Settings{}, wrong("spill.directory", fmt.Errorf("%q: want an absolute path", a.SpillDir))
	}
	if a.Subject == "" {
		return Settings{}, wrong("ingest.topic", errors.New("is not set: want the subject to receive on"))
	}
	for _, sub := range []struct {
		key, text string
		wild      bool
	}{
		{"ingest.topic", a.Subject, true},
		{"dead_letters", a.DeadLetters, false},
	} {
		if !validSubject(sub.text, sub.wild) {
			return Settings{}, wrong(sub.key, fmt.Errorf("%q: not a subject", sub.text))
		}
	}
	var err error
	if s.open, err = sink.load(keys, &s); err != nil {
		return Settings{}, err
	}
	for _, name := range keys.ignored() {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s%s is ignored: it means nothing to an adapter of type %s, as it is set up", keys.place(name), key(name), kind))
	}
	// What is published must not come in again.
	if matches(a.Subject, a.DeadLetters) {
		return Settings{}, wrong("dead_letters", fmt.Errorf("%q is received by %s", a.DeadLetters, key("ingest.topic")))
	}
	return s, nil
}

// validName reports whether name may be a part of keys, of subjects and of paths.
func validName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	})
}

// validSubject reports whether s is a subject; wild says that it may have wildcards.
func validSubject(s string, wild bool) bool {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		switch {
		case p == "" || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return false
		case p == "*" || p == ">":
			if !wild || p == ">" && i != len(parts)-1 {
				return false
			}
		}
	}
	return true
}

// matches reports whether a subscription to pattern receives what goes to subject.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	if n := len(p) - 1; p[n] == ">" {
		if len(s) <= n {
			return false
		}
		p, s = p[:n], s[:n]
	}
	return slices.EqualFunc(p, s, func(a, b string) bool { return a == "*" || a == b })
}

// Sink returns how to open the sink of an output worker. o says how this process connects to brokers,
// for sinks that are there; all use its log.
func (s *Settings) Sink(o transport.Options) func(n int) (Sink, error) {
	return func(n int) (Sink, error) { return s.open(o, n) }
}
