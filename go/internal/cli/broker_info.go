package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/config"
)

// certificateSoon is how long before its end a certificate is worth a warning.
const certificateSoon = 30 * 24 * time.Hour

// A brokerInfoCommand is one run of broker info.
type brokerInfoCommand struct {
	*env
	urls     []string
	file     string
	user     string
	password string // file
	interval seconds
	timeout  seconds
	asJSON   bool
}

// defaultBrokerConfig is where packages put the configuration of a broker.
const defaultBrokerConfig = "/etc/choria/broker.conf"

func addBrokerInfo(e *env, cmd *kingpin.CmdClause) {
	c := &brokerInfoCommand{env: e, interval: seconds(time.Second), timeout: seconds(2 * time.Second)}
	info := cmd.Command("info", "Shows peers, connections, rates, streams and certificates of brokers.")
	info.HelpLong(fmt.Sprintf(`Brokers are asked over the network when the client configuration, or --user, names the system user of the
brokers: then all of the cluster answer. Otherwise the statistics port of one broker is read: that of --url,
or the one that the broker on this machine is configured with.

Examples:
  %[1]s broker info
  %[1]s broker info --url http://broker1.example.net:8222
  %[1]s broker info --user admin --password-file ~/.choria/system.password

Exit status:
  0  all brokers answered
  1  an error
  3  some brokers answered, and another one of the cluster or of the --url did not
`, e.name))
	info.Flag("url", "Statistics port of a broker (repeatable)").PlaceHolder("URL").StringsVar(&c.urls)
	info.Flag("broker-config", "Configuration of the broker on this machine").PlaceHolder("FILE").StringVar(&c.file)
	info.Flag("user", "System user, otherwise plugin.choria.network.system.user").PlaceHolder("NAME").StringVar(&c.user)
	info.Flag("password-file", "File with its password, otherwise plugin.choria.network.system.password").PlaceHolder("FILE").StringVar(&c.password)
	info.Flag("interval", "Time over which rates are measured, 0 for none; otherwise a second").PlaceHolder("SECONDS").SetValue(&c.interval)
	info.Flag("timeout", "Longest time to wait for brokers, otherwise 2 s").PlaceHolder("SECONDS").SetValue(&c.timeout)
	info.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	info.Action(func(*kingpin.ParseContext) error { return c.run() })
}

// A prober asks brokers what they do.
type prober interface {
	// all returns what all brokers that answer say, by their names.
	all(context.Context) (map[string]*brokerState, error)

	// counts asks them again for what is counted.
	counts(context.Context) (map[string]varz, error)

	close()
}

func (c *brokerInfoCommand) run() error {
	p, err := c.prober()
	if err != nil {
		return err
	}
	defer p.close()
	states, err := p.all(c.ctx)
	if err != nil {
		return err
	}
	if c.interval > 0 {
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(time.Duration(c.interval)):
		}
		later, err := p.counts(c.ctx)
		if err != nil {
			return err
		}
		for name, s := range states {
			if v, ok := later[name]; ok {
				s.measure(v)
			}
		}
	}
	brokers := make([]brokerReport, 0, len(states))
	for _, s := range states {
		brokers = append(brokers, s.report())
	}
	slices.SortFunc(brokers, func(a, b brokerReport) int { return strings.Compare(a.Name, b.Name) })
	var silent []string
	switch p := p.(type) {
	case *systemProber: // which has asked all
		silent = absent(brokers)
	case *httpProber:
		silent = p.silent
	}
	if c.asJSON {
		if err := c.encode(brokers); err != nil {
			return err
		}
	} else {
		out := screenOn(c.stdout, true)
		for i, b := range brokers {
			if i > 0 {
				out.printf("\n")
			}
			out.broker(b)
		}
	}
	if len(silent) > 0 {
		return &exit{exitSilent, fmt.Errorf("no answer from %s", strings.Join(silent, ", "))}
	}
	return nil
}

// absent returns the brokers that others are connected to, and that have not answered.
func absent(brokers []brokerReport) []string {
	there, missing := map[string]bool{}, map[string]bool{}
	for _, b := range brokers {
		there[b.Name] = true
	}
	for _, b := range brokers {
		for _, p := range b.Peers {
			if p.Name != "" && !there[p.Name] {
				missing[p.Name] = true
			}
		}
	}
	var names []string
	for name := range missing {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// prober returns who is asked, as the flags and the configuration say.
func (c *brokerInfoCommand) prober() (prober, error) {
	timeout := time.Duration(c.timeout)
	if len(c.urls) > 0 {
		return newHTTPProber(c.urls, timeout)
	}
	if c.file == "" {
		cfg, err := config.LoadClient(c.config)
		if err == nil && (c.user != "" || cfg.SystemUser != "") {
			return c.systemProber(cfg, timeout)
		}
		if c.user != "" {
			return nil, err
		}
	}
	file := c.file
	if file == "" {
		file = defaultBrokerConfig
	}
	cfg, err := config.Load(file)
	if c.file == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(errors.New("it is not known which broker to ask"),
			"name its statistics port with --url http://BROKER:PORT, or the system user with --user")
	}
	if err != nil {
		return nil, err
	}
	if cfg.StatsPort == 0 {
		return nil, withHint(fmt.Errorf("%s: plugin.choria.stats_port: the broker has no statistics port", file), "set it to 8222 say, and restart the broker")
	}
	host := cfg.StatsAddress
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return newHTTPProber([]string{"http://" + net.JoinHostPort(host, strconv.Itoa(cfg.StatsPort))}, timeout)
}

// systemProber connects as the system user.
func (c *brokerInfoCommand) systemProber(cfg *config.Config, timeout time.Duration) (prober, error) {
	user, password := cfg.SystemUser, cfg.SystemPassword
	if c.user != "" {
		user = c.user
	}
	if c.password != "" {
		data, err := os.ReadFile(c.password)
		if err != nil {
			return nil, fmt.Errorf("--password-file: %w", err)
		}
		password = strings.TrimRight(string(data), "\r\n")
	}
	if password == "" {
		return nil, withHint(fmt.Errorf("the password of the system user %q is not known", user), "give --password-file, or set plugin.choria.network.system.password")
	}
	return dialSystem(c.ctx, cfg, user, password, timeout, c.log())
}

// broker shows one broker.
func (s *screen) broker(b brokerReport) {
	s.printf("%s\n", s.paint(white, printable(b.Name)))
	var peers, leafs, gateways []string
	for _, p := range b.Peers {
		peers = append(peers, fmt.Sprintf("%s (%s)", p.Name, p.RTT))
	}
	for _, l := range b.Leafnodes {
		leafs = append(leafs, fmt.Sprintf("%s (%s, account %s)", l.Name, l.Address, l.Account))
	}
	for _, g := range b.Gateways {
		gateways = append(gateways, fmt.Sprintf("%s (%s, %d connections in)", g.Name, map[bool]string{true: "connected", false: "not connected"}[g.Connected], g.Inbound))
	}
	cluster := b.Cluster
	if cluster == "" {
		cluster = "none, it stands alone"
	}
	slow := fmt.Sprint(b.SlowConsumers)
	if b.SlowConsumers > 0 {
		slow = s.paint(yellow, slow)
	}
	fields := [][2]string{
		{"Version", b.Version},
		{"Up", b.Uptime},
		{"Cluster", cluster},
		{"Peers", strings.Join(peers, ", ")},
		{"Leafnodes", strings.Join(leafs, ", ")},
		{"Gateways", strings.Join(gateways, ", ")},
		{"Connections", fmt.Sprintf("%d of %d, %d since the start", b.Connections, b.MaxConnections, b.TotalConnections)},
		{"Subscriptions", fmt.Sprint(b.Subscriptions)},
		{"In", traffic(b.In)},
		{"Out", traffic(b.Out)},
	}
	if st := b.Streams; st != nil {
		text := fmt.Sprintf("%d with %d messages, %s of %s", st.Streams, st.Messages, sizeText(st.Bytes), sizeText(st.MaxBytes))
		if !st.Enabled {
			text = "off, the store does not work"
		}
		fields = append(fields, [2]string{"Streams", text}, [2]string{"Consumers", fmt.Sprint(st.Consumers)}, [2]string{"Stream leader", st.Leader})
	}
	fields = append(fields, [2]string{"Memory", sizeText(b.Memory)}, [2]string{"CPU", fmt.Sprintf("%.1f %%", b.CPU)})
	s.fields(fields)
	// These have colours of their own.
	if n := b.PeersConfigured; len(b.Peers) < n {
		s.printf("%s: %s\n", s.paint(bold, padLeft("Missing", s.width(fields))), s.paint(red, fmt.Sprintf("%d of %d peers", n-len(b.Peers), n)))
	}
	s.printf("%s: %s\n", s.paint(bold, padLeft("Slow", s.width(fields))), slow)
	if !b.CertificateExpires.IsZero() {
		left := time.Until(b.CertificateExpires)
		text, color := fmt.Sprintf("expires %s, in %d days", timeText(b.CertificateExpires), int(left.Hours())/24), plain
		switch {
		case left <= 0:
			text, color = "expired "+timeText(b.CertificateExpires), red
		case left < certificateSoon:
			color = yellow
		}
		s.printf("%s: %s\n", s.paint(bold, padLeft("Certificate", s.width(fields))), s.paint(color, text))
	}
}

// traffic returns a direction for people.
func traffic(t trafficReport) string {
	text := fmt.Sprintf("%d messages, %s", t.Messages, sizeText(t.Bytes))
	if t.MessageRate != nil {
		text += fmt.Sprintf("; %.1f messages/s, %s/s", *t.MessageRate, sizeText(uint64(*t.ByteRate)))
	}
	return text
}
