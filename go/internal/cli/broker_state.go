package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// What the NATS server says of itself, as far as it is shown. Source: monitor.go of the server.
type (
	varz struct {
		ID               string    `json:"server_id"`
		Name             string    `json:"server_name"`
		Version          string    `json:"version"`
		Uptime           string    `json:"uptime"`
		Now              time.Time `json:"now"`
		Connections      int       `json:"connections"`
		MaxConnections   int       `json:"max_connections"`
		TotalConnections uint64    `json:"total_connections"`
		Subscriptions    uint64    `json:"subscriptions"`
		SlowConsumers    int64     `json:"slow_consumers"`
		InMsgs           uint64    `json:"in_msgs"`
		OutMsgs          uint64    `json:"out_msgs"`
		InBytes          uint64    `json:"in_bytes"`
		OutBytes         uint64    `json:"out_bytes"`
		Memory           uint64    `json:"mem"`
		CPU              float64   `json:"cpu"`
		Cluster          struct {
			Name string `json:"name"`
		} `json:"cluster"`
	}
	routez struct {
		Routes []struct {
			Name string `json:"remote_name"`
			IP   string `json:"ip"`
			Port int    `json:"port"`
			RTT  string `json:"rtt"`
		} `json:"routes"`
	}
	leafz struct {
		Leafs []struct {
			Name    string `json:"name"`
			Account string `json:"account"`
			IP      string `json:"ip"`
			RTT     string `json:"rtt"`
		} `json:"leafs"`
	}
	gatewayz struct {
		Outbound map[string]json.RawMessage   `json:"outbound_gateways"`
		Inbound  map[string][]json.RawMessage `json:"inbound_gateways"`
	}
	jsz struct {
		Disabled bool   `json:"disabled"`
		Store    uint64 `json:"storage"`
		Config   struct {
			MaxStorage uint64 `json:"max_storage"`
		} `json:"config"`
		Streams   int    `json:"streams"`
		Consumers int    `json:"consumers"`
		Messages  uint64 `json:"messages"`
		Meta      *struct {
			Leader string `json:"leader"`
		} `json:"meta_cluster"`
	}
	aboutz struct {
		Version string    `json:"version"`
		Expires time.Time `json:"certificate_expires"`
		Peers   int       `json:"peers"`
		Store   string    `json:"stream_store"`
		Broken  bool      `json:"stream_store_broken"`
	}
)

// A brokerState is all that one broker has said.
type brokerState struct {
	varz    varz
	routes  routez
	leafs   leafz
	gates   gatewayz
	streams jsz
	about   aboutz

	later *varz // asked some time after varz
}

func (s *brokerState) measure(v varz) { s.later = &v }

// A brokerReport is one broker as it is shown.
type brokerReport struct {
	Name               string          `json:"name"`
	Version            string          `json:"version"`
	Uptime             string          `json:"uptime"`
	Cluster            string          `json:"cluster,omitempty"`
	Peers              []peerReport    `json:"peers"`
	PeersConfigured    int             `json:"peers_configured"` // 0 also for brokers that do not say
	Leafnodes          []leafReport    `json:"leafnodes"`
	Gateways           []gatewayReport `json:"gateways"`
	Connections        int             `json:"connections"`
	MaxConnections     int             `json:"max_connections"`
	TotalConnections   uint64          `json:"total_connections"`
	Subscriptions      uint64          `json:"subscriptions"`
	SlowConsumers      int64           `json:"slow_consumers"`
	In                 trafficReport   `json:"in"`
	Out                trafficReport   `json:"out"`
	Memory             uint64          `json:"memory_bytes"`
	CPU                float64         `json:"cpu_percent"`
	Streams            *streamsReport  `json:"streams,omitempty"` // nil: it keeps none
	CertificateExpires time.Time       `json:"certificate_expires,omitzero"`
}

type peerReport struct {
	Name string `json:"name"`
	IP   string `json:"ip"`
	RTT  string `json:"rtt"`
}

type leafReport struct {
	Name    string `json:"name"`
	Address string `json:"ip"`
	Account string `json:"account"`
}

type gatewayReport struct {
	Name      string `json:"name"`
	Connected bool   `json:"connected"` // from here to there
	Inbound   int    `json:"inbound"`   // connections from there
}

type trafficReport struct {
	Messages    uint64   `json:"messages"`
	Bytes       uint64   `json:"bytes"`
	MessageRate *float64 `json:"messages_per_second,omitempty"`
	ByteRate    *float64 `json:"bytes_per_second,omitempty"`
}

type streamsReport struct {
	Enabled   bool   `json:"enabled"`
	Streams   int    `json:"streams"`
	Consumers int    `json:"consumers"`
	Messages  uint64 `json:"messages"`
	Bytes     uint64 `json:"bytes"`
	MaxBytes  uint64 `json:"max_bytes"`
	Leader    string `json:"leader,omitempty"` // of the cluster
}

// report returns what is shown.
func (s *brokerState) report() brokerReport {
	v := s.varz
	if s.later != nil {
		v = *s.later
	}
	b := brokerReport{
		Name: v.Name, Version: s.about.Version, Uptime: v.Uptime, Cluster: v.Cluster.Name,
		Peers: []peerReport{}, Leafnodes: []leafReport{}, Gateways: []gatewayReport{}, // never null
		Connections: v.Connections, MaxConnections: v.MaxConnections, TotalConnections: v.TotalConnections,
		Subscriptions: v.Subscriptions, SlowConsumers: v.SlowConsumers, Memory: v.Memory, CPU: v.CPU,
		In: trafficReport{Messages: v.InMsgs, Bytes: v.InBytes}, Out: trafficReport{Messages: v.OutMsgs, Bytes: v.OutBytes},
		CertificateExpires: s.about.Expires, PeersConfigured: s.about.Peers,
	}
	if b.Version == "" { // a NATS server, or a broker of another release
		b.Version = "nats " + v.Version
	} else {
		b.Version += " (nats " + v.Version + ")"
	}
	if s.later != nil {
		if took := v.Now.Sub(s.varz.Now).Seconds(); took > 0 {
			b.In.rate(s.varz.InMsgs, s.varz.InBytes, took)
			b.Out.rate(s.varz.OutMsgs, s.varz.OutBytes, took)
		}
	}
	for _, r := range s.routes.Routes { // several connections may lead to one broker
		if !slices.ContainsFunc(b.Peers, func(p peerReport) bool { return p.Name == r.Name }) {
			b.Peers = append(b.Peers, peerReport{r.Name, r.IP, r.RTT})
		}
	}
	slices.SortFunc(b.Peers, func(a, b peerReport) int { return strings.Compare(a.Name, b.Name) })
	for _, l := range s.leafs.Leafs {
		b.Leafnodes = append(b.Leafnodes, leafReport{l.Name, l.IP, l.Account})
	}
	for name := range s.gates.Outbound {
		b.Gateways = append(b.Gateways, gatewayReport{name, true, len(s.gates.Inbound[name])})
	}
	for name, in := range s.gates.Inbound {
		if _, ok := s.gates.Outbound[name]; !ok {
			b.Gateways = append(b.Gateways, gatewayReport{name, false, len(in)})
		}
	}
	slices.SortFunc(b.Gateways, func(a, b gatewayReport) int { return strings.Compare(a.Name, b.Name) })
	if s.about.Store != "" || !s.streams.Disabled && s.streams.Config.MaxStorage > 0 {
		b.Streams = &streamsReport{
			Enabled: !s.streams.Disabled && !s.about.Broken, Streams: s.streams.Streams, Consumers: s.streams.Consumers, Messages: s.streams.Messages,
			Bytes: s.streams.Store, MaxBytes: s.streams.Config.MaxStorage,
		}
		if s.streams.Meta != nil {
			b.Streams.Leader = s.streams.Meta.Leader
		}
	}
	return b
}

// rate sets the rates, given what was counted before.
func (t *trafficReport) rate(messages, bytes uint64, seconds float64) {
	per := func(now, before uint64) *float64 {
		if now < before { // the broker was restarted
			return nil
		}
		rate := float64(now-before) / seconds
		return &rate
	}
	t.MessageRate, t.ByteRate = per(t.Messages, messages), per(t.Bytes, bytes)
	if t.MessageRate == nil || t.ByteRate == nil {
		t.MessageRate, t.ByteRate = nil, nil
	}
}
