package lab

import (
	"fmt"
	"slices"
	"strings"

	"choria.io/choria/go/internal/security/pki"
)

// firstFederationBroker is the host of the block that the first federation broker has its statistics
// on; they have no other port.
const firstFederationBroker = firstSource + sources

// MaxFederationBrokers is how many federation brokers a lab may have.
const MaxFederationBrokers = 64

// A network is brokers that form a cluster, with the nodes that connect to them. The brokers and nodes
// of one follow each other in the plan.
type network struct {
	name                 string // of a site; empty where there is no federation, and for what joins the sites
	firstBroker, brokers int
	firstNode, nodes     int
}

// checkFederation reports numbers that make no federation.
func (n *Network) checkFederation() error {
	switch {
	case n.Federation == 0:
		return nil
	case n.Nodes < n.Federation:
		return fmt.Errorf("lab: %d sites of a federation need as many nodes, not %d", n.Federation, n.Nodes)
	case n.Federation*n.Brokers+1 > MaxBrokers:
		return fmt.Errorf("lab: %d sites with %d broker(s) and the broker of the federation are more than %d brokers", n.Federation, n.Brokers, MaxBrokers)
	case n.Federation*n.FederationBrokers > MaxFederationBrokers:
		return fmt.Errorf("lab: want at most %d federation brokers", MaxFederationBrokers)
	}
	return nil
}

// addNetworks decides which brokers and nodes there are, and which of them form a network: all of
// them, or each site one, with a last one for the clients of the federation.
func (p *plan) addNetworks(n *Network) {
	add := func(net network, prefix string) {
		net.firstBroker = len(p.brokers)
		for i := range net.brokers {
			p.brokers = append(p.brokers, fmt.Sprintf("%sbroker%d", prefix, i+1))
		}
		p.networks = append(p.networks, net)
	}
	p.federated = n.Federation
	if n.Federation == 0 {
		add(network{brokers: n.Brokers, nodes: n.Nodes}, "")
		return
	}
	for i := range n.Federation {
		first, last := i*n.Nodes/n.Federation, (i+1)*n.Nodes/n.Federation
		name := fmt.Sprintf("site%d", i+1)
		add(network{name: name, brokers: n.Brokers, firstNode: first, nodes: last - first}, name+"-")
	}
	add(network{brokers: 1}, "federation-")
}

func (p *plan) networkOfBroker(i int) network {
	return p.networks[slices.IndexFunc(p.networks, func(n network) bool { return i < n.firstBroker+n.brokers })]
}

func (p *plan) networkOfNode(i int) network {
	return p.networks[slices.IndexFunc(p.networks, func(n network) bool { return i < n.firstNode+n.nodes })]
}

// addresses returns host:port of the brokers of a network.
func (p *plan) addresses(n network, port int) []string {
	var all []string
	for i := range n.brokers {
		all = append(all, fmt.Sprintf("%s:%d", p.block.address(n.firstBroker+i+1), port))
	}
	return all
}

// allAddresses returns host:port of all brokers.
func (p *plan) allAddresses(port int) []string {
	var all []string
	for _, n := range p.networks {
		all = append(all, p.addresses(n, port)...)
	}
	return all
}

// sites returns the networks that are joined to a federation, and the one that joins them. There are
// none without a federation.
func (p *plan) sites() (sites []network, clients network) {
	return p.networks[:p.federated], p.networks[len(p.networks)-1]
}

// addFederationBrokers adds each federation brokers to each site.
func (p *plan) addFederationBrokers(ca *pki.CA, each int) error {
	sites, clients := p.sites()
	host := firstFederationBroker
	for _, site := range sites {
		for i := range each {
			name := fmt.Sprintf("%s-federation%d", site.name, i+1)
			if err := p.issue(ca, pki.Request{Name: name + ".lab"}); err != nil {
				return err
			}
			m := p.security(name + ".lab")
			m["identity"] = name + ".lab"
			m["loglevel"] = p.extra.LogLevel
			m["logfile"] = p.path("log", name+".log")
			m["plugin.choria.broker_federation"] = "true"
			m["plugin.choria.federation.cluster"] = site.name
			m["plugin.choria.federation_middleware_hosts"] = strings.Join(p.addresses(clients, clientPort), ", ")
			m["plugin.choria.middleware_hosts"] = strings.Join(p.addresses(site, clientPort), ", ")
			m["plugin.choria.stats_address"] = p.block.address(host)
			m["plugin.choria.stats_port"] = fmt.Sprint(statsPort)
			host++
			p.addDaemon(name, "choria-broker", settings(m))
			p.federationBrokers = append(p.federationBrokers, name)
		}
	}
	return nil
}

// connectClient adds what a client connects to.
func (p *plan) connectClient(m map[string]string) {
	sites, clients := p.sites()
	if len(sites) == 0 {
		m["plugin.choria.middleware_hosts"] = strings.Join(p.addresses(clients, clientPort), ", ")
		return
	}
	var names []string
	for _, s := range sites {
		names = append(names, s.name)
	}
	m["plugin.choria.federation.collectives"] = strings.Join(names, ", ")
	m["plugin.choria.federation_middleware_hosts"] = strings.Join(p.addresses(clients, clientPort), ", ")
}

// FederationBrokers returns the names of the federation brokers, as PID takes them: site1-federation1
// and so on.
func (s *Site) FederationBrokers() []string { return s.plan.federationBrokers }
