// Package fleet describes the nodes of a lab.
package fleet

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// What nodes differ in, so that filters have something to find.
var (
	countries = []string{"mt", "uk", "de"}
	roles     = []string{"web", "db", "cache", "mail"}
	families  = []string{"Debian", "RedHat"}
)

// MainCollective is the collective that all nodes are in.
const MainCollective = "mcollective"

// A Spec describes the part of a network that one process holds: nodes, or bare connections to
// measure with. It is handed to choria-server as a file.
type Spec struct {
	First, Count int    // node numbers, the first one of a lab is 0
	Config       string // server configuration file of all of them; what differs is below

	Brokers []string // host:port
	Sources []string // addresses that connections are made from; a connection needs one of their ports each

	Keys string // directory with NAME.pem and NAME.key of every node

	// Agents and Collectives are how many more each node has than it has by itself, as in networks
	// with many of them.
	Agents, Collectives int

	// Bare, when set, asks for connections with nothing of Choria on them in place of nodes.
	Bare *Bare `json:",omitempty"`
}

// Bare says what bare connections do: answer what comes on Broadcast, and on Directed with .NUMBER
// of the connection behind it, with Reply bytes to its reply subject.
type Bare struct {
	Name                string // of the certificate that all of them use; empty: no TLS
	Broadcast, Directed string
	Reply               int
}

// Load reads a file that Save has written.
func Load(path string) (*Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Count < 1 || s.First < 0 || len(s.Brokers) == 0 {
		return nil, fmt.Errorf("%s: no nodes or no brokers", path)
	}
	return &s, nil
}

// Save writes s to a file.
func (s *Spec) Save(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o600)
}

// A Node is one node of a lab.
type Node struct {
	Name        string
	Collectives []string // the main one first
	Classes     []string
	Role        string
	Brokers     []string // host:port, the one to prefer first
	Source      string   // address to connect from; empty: any
	Facts       json.RawMessage
	Certificate string // file
	Key         string // file
}

// Name returns the identity of node i.
func Name(i int) string { return fmt.Sprintf("node%d.lab", i+1) }

// Role returns what node i is for.
func Role(i int) string { return roles[i%len(roles)] }

// Collectives returns the collectives of all nodes together, extra being those of Spec.
func Collectives(extra int) []string {
	all := []string{MainCollective}
	for _, country := range countries {
		all = append(all, country+"_collective")
	}
	return append(all, further(extra)...)
}

// further returns the collectives that all nodes are in besides the usual ones.
func further(extra int) []string {
	var all []string
	for i := range extra {
		all = append(all, fmt.Sprintf("lab%d_collective", i+1))
	}
	return all
}

// Node returns the description of node i. Its facts differ so that role=web is every fourth, and
// percent=N for 0 to 99 one in a hundred.
func (s *Spec) Node(i int) (*Node, error) {
	name, country := Name(i), countries[i%len(countries)]
	n := &Node{
		Name:        name,
		Role:        Role(i),
		Collectives: append([]string{MainCollective, country + "_collective"}, further(s.Collectives)...),
		Classes:     []string{"settings", "lab", "mcollective", "role::" + Role(i)},
		Certificate: filepath.Join(s.Keys, name+".pem"),
		Key:         filepath.Join(s.Keys, name+".key"),
	}
	first := i % len(s.Brokers)
	n.Brokers = append(append(n.Brokers, s.Brokers[first:]...), s.Brokers[:first]...)
	if len(s.Sources) > 0 {
		n.Source = s.Sources[i%len(s.Sources)]
	}
	var err error
	n.Facts, err = json.Marshal(map[string]any{
		"kernel":     "Linux",
		"country":    country,
		"role":       n.Role,
		"number":     i + 1,
		"percent":    i % 100,
		"lab":        true,
		"os":         map[string]any{"family": families[i%len(families)], "name": "lab"},
		"networking": map[string]any{"fqdn": name, "ip": n.Source},
		"mcollective": map[string]any{"server": map[string]any{
			"collectives": n.Collectives, "main_collective": MainCollective,
		}},
	})
	return n, err
}

// most is how many connections one process holds: what the usual limits of open files allow.
const most = 16_000

// Split returns specs of one process each that together are s.
func (s *Spec) Split(limit int) []*Spec {
	each := min(most, limit)
	processes := max(2, (s.Count+each-1)/each)
	var all []*Spec
	for i := range processes {
		part := *s
		part.First = s.First + i*s.Count/processes
		part.Count = s.First + (i+1)*s.Count/processes - part.First
		if part.Count > 0 {
			all = append(all, &part)
		}
	}
	return all
}
