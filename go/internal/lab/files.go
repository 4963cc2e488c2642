package lab

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/lab/fleet"
	"choria.io/choria/go/internal/security/pki"
)

// Ports are the same in every lab, since every lab has addresses of its own.
const (
	clientPort         = 4222
	peerPort           = 5222
	statsPort          = 8222 // of brokers; nodes count up from firstNodeStatsPort on the first address
	firstNodeStatsPort = 9001
)

// systemUser is who may ask brokers how they are.
const systemUser = "system"

// A plan is all that is decided about a lab before anything is written.
type plan struct {
	dir               string
	block             *block
	user              string    // certificate name of the client
	brokers           []string  // names: broker1 …
	nodes             []string  // identities: node1.lab …
	networks          []network // what brokers and nodes form: one, or in a federation the sites and what joins them
	federationBrokers []string  // names
	federated         int       // how many of the networks are sites
	extra             extra
	password          string // of the system user, for broker info
	daemons           []daemon
	fleets            []*fleet.Spec // of nodes that share processes
	files             map[string]file
}

// A daemon is one process to start.
type daemon struct{ name, program, config, log, pid string }

// extra is what a Network asks for beyond numbers of brokers and nodes.
type extra struct {
	NoTLS, Shared       bool
	LogLevel            string
	Agents, Collectives int
}

// A file is one file to write.
type file struct {
	data []byte
	mode os.FileMode
}

// plan decides names, addresses, keys and the content of all files.
func (n *Network) plan(dir string, b *block) (*plan, error) {
	p := &plan{
		password: rand.Text(),
		dir:      dir, block: b, user: clientName(), files: map[string]file{},
		extra: extra{NoTLS: n.NoTLS, LogLevel: cmp.Or(n.LogLevel, "info"), Shared: n.Shared || n.Agents > 0, Agents: n.Agents, Collectives: n.Collectives},
	}
	ca, err := pki.New("Choria Lab CA")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	p.files["ssl/ca.pem"] = file{ca.Cert(), 0o644}

	for i := range n.Nodes {
		p.nodes = append(p.nodes, fleet.Name(i))
	}
	p.addNetworks(n)
	for i, name := range p.brokers {
		if err := p.issue(ca, pki.Request{Name: name + ".lab", IPs: []string{b.address(i + 1)}}); err != nil {
			return nil, err
		}
		p.addDaemon(name, "choria-broker", p.brokerConfig(i))
	}
	if err := p.addFederationBrokers(ca, n.FederationBrokers); err != nil {
		return nil, err
	}
	if err := p.addNodes(ca); err != nil {
		return nil, err
	}
	// Only the caller signs requests, which takes an RSA key; all others make do with faster ones.
	if err := p.issue(ca, pki.Request{Name: p.user, RSA: true}); err != nil {
		return nil, err
	}
	p.files["client.conf"] = file{p.clientConfig(), 0o600}
	suite, err := p.suite()
	if err != nil {
		return nil, err
	}
	p.files["suite.yaml"] = file{suite, 0o644}
	return p, nil
}

func (p *plan) issue(ca *pki.CA, r pki.Request) error {
	pair, err := ca.Issue(r)
	if err != nil {
		return fmt.Errorf("lab: certificate of %s: %w", r.Name, err)
	}
	p.files["ssl/"+r.Name+".pem"] = file{pair.Cert, 0o644}
	p.files["ssl/"+r.Name+".key"] = file{pair.Key, 0o600}
	return nil
}

func (p *plan) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

func (p *plan) addDaemon(name, program string, config []byte) {
	conf := filepath.Join("etc", name, strings.TrimPrefix(program, "choria-")+".conf")
	p.files[conf] = file{config, 0o640}
	p.daemons = append(p.daemons, daemon{
		name: name, program: program,
		config: p.path(conf), log: p.path("log", name+".out"), pid: p.path("run", name+".pid"),
	})
}

// settings renders a configuration file, keys sorted.
func settings(m map[string]string) []byte {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s = %s\n", key, m[key])
	}
	return []byte(b.String())
}

// common returns the settings that all programs have.
func (p *plan) common() map[string]string {
	m := map[string]string{"plugin.choria.use_srv": "false"}
	if p.extra.NoTLS {
		m["plugin.choria.lab.no_tls"] = "true"
	}
	return m
}

// security returns the common settings and those for the certificate of a name.
func (p *plan) security(name string) map[string]string {
	m := p.common()
	m["plugin.security.provider"] = "file"
	m["plugin.security.file.ca"] = p.path("ssl", "ca.pem")
	m["plugin.security.file.certificate"] = p.path("ssl", name+".pem")
	m["plugin.security.file.key"] = p.path("ssl", name+".key")
	return m
}

func (p *plan) brokerConfig(i int) []byte {
	name := p.brokers[i]
	m := p.security(name + ".lab")
	m["identity"] = name + ".lab"
	m["loglevel"] = p.extra.LogLevel
	m["logfile"] = p.path("log", name+".log")
	m["plugin.choria.broker_network"] = "true"
	m["plugin.choria.network.listen_address"] = p.block.address(i + 1)
	m["plugin.choria.network.client_port"] = fmt.Sprint(clientPort)
	m["plugin.choria.network.public_url"] = fmt.Sprintf("%s:%d", p.block.address(i+1), clientPort)
	m["plugin.choria.stats_address"] = p.block.address(i + 1)
	m["plugin.choria.stats_port"] = fmt.Sprint(statsPort)
	m["plugin.choria.network.stream.store"] = p.path("streams", name)
	m["plugin.choria.network.system.user"] = systemUser
	m["plugin.choria.network.system.password"] = p.password
	if net := p.networkOfBroker(i); net.brokers > 1 {
		m["plugin.choria.network.peers"] = strings.Join(p.addresses(net, peerPort), ", ")
		m["plugin.choria.network.peer_port"] = fmt.Sprint(peerPort)
	}
	return settings(m)
}

// addNode adds a node with a process of its own.
func (p *plan) addNode(i int) error {
	n, err := p.fleet(p.networkOfNode(i)).Node(i)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	name := n.Name
	facts, err := json.MarshalIndent(n.Facts, "", "  ")
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	m := p.server()
	maps.Copy(m, p.security(name))
	m["identity"] = name
	m["collectives"] = strings.Join(n.Collectives, ", ")
	m["main_collective"] = fleet.MainCollective
	m["plugin.choria.middleware_hosts"] = strings.Join(n.Brokers, ", ")
	m["logfile"] = p.path("log", name+".log")
	m["plugin.yaml"] = p.path("etc", name, "facts.json")
	m["classesfile"] = p.path("etc", name, "classes.txt")
	m["plugin.choria.status_file_path"] = p.path("run", name+".status.json")
	m["plugin.choria.stats_address"] = p.block.address(1)
	m["plugin.choria.stats_port"] = fmt.Sprint(firstNodeStatsPort + i)
	m["plugin.shell.state_path"] = p.path("run", name+".jobs")
	// Not the Puppet agent of this machine: each node disables and runs one of its own.
	m["plugin.puppet.config"] = p.path("etc", name, "puppet.conf")
	m["plugin.puppet.statedir"] = p.path("puppet", name, "state")
	m["plugin.puppet.rundir"] = p.path("puppet", name, "run")
	m["rpcaudit"] = "true"
	m["plugin.rpcaudit.logfile"] = p.path("log", name+".audit.log")
	p.addDaemon(name, "choria-server", settings(m))
	p.files["etc/"+name+"/facts.json"] = file{append(facts, '\n'), 0o644}
	p.files["etc/"+name+"/puppet.conf"] = file{fmt.Appendf(nil,
		"[main]\nconfdir = %[1]s\nvardir = %[1]s\nstatedir = %[1]s/state\nrundir = %[1]s/run\nlogdir = %[1]s/log\nssldir = %[1]s/ssl\ncertname = %[2]s\n"+
			// Nor its server, which would find requests for certificates of these nodes: nobody listens there.
			"server = %[3]s\nwaitforcert = 0\n",
		p.path("puppet", name), name, p.block.address(1)), 0o644}
	p.files["puppet/"+name+"/state/.keep"] = file{nil, 0o644}
	p.files["puppet/"+name+"/run/.keep"] = file{nil, 0o644}
	p.files["etc/"+name+"/classes.txt"] = file{[]byte(strings.Join(n.Classes, "\n") + "\n"), 0o644}
	p.addPolicy(name)
	return nil
}

// server returns the settings that all nodes have.
func (p *plan) server() map[string]string {
	m := p.common()
	m["loglevel"] = p.extra.LogLevel
	m["rpcauthorization"] = "true"
	m["plugin.actionpolicy.enable_default"] = "true"
	m["plugin.actionpolicy.default_name"] = "default"
	return m
}

// addPolicy adds the policy of the nodes whose configuration is in etc/name.
func (p *plan) addPolicy(name string) {
	p.files["etc/"+name+"/policies/default.policy"] = file{
		fmt.Appendf(nil, "policy default deny\nallow\tchoria=%s\t*\t*\t*\n", p.user), 0o644}
}

func (p *plan) clientConfig() []byte {
	m := p.security(p.user)
	m["identity"] = p.user
	m["loglevel"] = "warn"
	m["collectives"] = strings.Join(fleet.Collectives(p.extra.Collectives), ", ")
	m["main_collective"] = fleet.MainCollective
	m["plugin.choria.network.system.user"] = systemUser
	m["plugin.choria.network.system.password"] = p.password
	p.connectClient(m)
	return settings(m)
}

// suite is the data file with which cspec::suite tests this very network.
func (p *plan) suite() ([]byte, error) {
	linuxWeb := []string{}
	for i, name := range p.nodes {
		if fleet.Role(i) == "web" {
			linuxWeb = append(linuxWeb, name)
		}
	}
	data, err := json.MarshalIndent(map[string]any{ // JSON is YAML
		"suites": []string{
			"cspec::discovery", "cspec::choria", "cspec::agents::filemgr",
			"cspec::agents::nettest", "cspec::agents::shell", "cspec::agents::process",
		},
		"choria.version":              "choria " + build.Version,
		"nettest.fqdn":                p.block.address(1),
		"nettest.port":                clientPort,
		"discovery.all_nodes":         p.nodes,
		"discovery.mcollective_nodes": p.nodes,
		"discovery.filtered_nodes":    linuxWeb,
		"discovery.fact_filter":       []string{"role=web"},
		"filemgr.shared":              true,
		"pre_flight.wait":             1, // Puppet has nothing to run here
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return append(data, '\n'), nil
}

// write makes all files and directories.
func (p *plan) write() error {
	for _, dir := range []string{"log", "run", "ssl"} {
		if err := os.MkdirAll(p.path(dir), 0o700); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	for name, f := range p.files {
		path := p.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	return nil
}

func (p *plan) site(bin string, procs *processes) *Site {
	return &Site{
		Dir: p.dir, Config: p.path("client.conf"), Suite: p.path("suite.yaml"), Bin: bin,
		Brokers: p.allAddresses(clientPort), Nodes: p.nodes, NoTLS: p.extra.NoTLS,
		plan: p, procs: procs,
	}
}
