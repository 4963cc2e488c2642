package node

import (
	"time"

	"choria.io/choria/go/internal/daemon"
)

// status is the content of the status file. Source: protocol section 16.
type status struct {
	Identity           string      `json:"identity"`
	Uptime             int64       `json:"uptime"` // seconds
	ConnectedServer    string      `json:"connected_server"`
	LastMessage        int64       `json:"last_message"` // Unix seconds, 0: none yet
	Provisioning       bool        `json:"provisioning_mode"`
	Stats              statusStats `json:"stats"`
	CertificateExpires time.Time   `json:"certificate_expires"` // year 1: not known
	TokenExpires       time.Time   `json:"token_expires"`
}

type statusStats struct {
	Total    uint64 `json:"total"`
	Valid    uint64 `json:"valid"`
	Invalid  uint64 `json:"invalid"`
	Passed   uint64 `json:"passed"`
	Filtered uint64 `json:"filtered"`
	Replies  uint64 `json:"replies"`
	Expired  uint64 `json:"ttlexpired"`
	Events   uint64 `json:"events"`
}

// status returns the state of the node now.
func (n *Node) status() status {
	return status{
		Identity:        n.identity,
		Uptime:          n.uptime(),
		ConnectedServer: n.conn.Server(),
		LastMessage:     n.lastMessage.Load(),
		Stats: statusStats{
			Total:    n.stats.total.Value(),
			Valid:    n.stats.validated.Value(),
			Invalid:  n.stats.unvalidated.Value(),
			Passed:   n.stats.passed.Value(),
			Filtered: n.stats.filtered.Value(),
			Replies:  n.stats.replies.Value(),
			Expired:  n.stats.expired.Value(),
			Events:   n.stats.events.Value(),
		},
		CertificateExpires: n.expires.UTC(),
	}
}

// keepStatus writes the status file now and from time to time, if one is configured.
func (n *Node) keepStatus(s *scheduler) {
	path, interval := n.cfg.StatusFile, n.cfg.StatusInterval
	if path == "" || interval <= 0 {
		return
	}
	said := ""
	write := func() {
		err := daemon.WriteStatus(path, n.status())
		switch {
		case err == nil:
			said = ""
		case err.Error() != said: // once, not every half a minute
			said = err.Error()
			n.log.Warn("status file not written", "err", err)
		}
	}
	write()
	s.every(interval, interval, write)
}
