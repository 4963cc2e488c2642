package transport

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// BroadcastSubject is where a request to all nodes of a collective with an agent goes.
func BroadcastSubject(collective, agent string) string {
	return collective + ".broadcast.agent." + agent
}

// ServiceSubject is where a request to a service agent goes; one node of the queue group answers.
func ServiceSubject(collective, agent string) string {
	return collective + ".broadcast.service." + agent
}

// NodeSubject is where a request to one node goes.
func NodeSubject(collective, identity string) string {
	return collective + ".node." + identity
}

// ReplySubject is where a client waits for the replies to one request. Brokers that know the caller
// give it exactly the subjects with its own hash.
func ReplySubject(collective, caller, id string) string {
	sum := md5.Sum([]byte(caller))
	return collective + ".reply." + hex.EncodeToString(sum[:]) + "." + id
}

// FederationRequests is where federation brokers of a site listen for requests, on the side of the
// clients; they share them in the queue group queue.
func FederationRequests(site string) (subject, queue string) {
	return "choria.federation." + site + ".federation", site + "_federation"
}

// FederationReplies is FederationRequests for replies, on the side of the nodes.
func FederationReplies(site string) (subject, queue string) {
	return "choria.federation." + site + ".collective", site + "_collective"
}

// maxSubject is the longest subject that is published to, in bytes. Brokers end connections that send a
// control line of more than 4096, which has other things beside it.
const maxSubject = 1024

// ValidSubject reports whether s can be published to: words between dots, without wildcards. A space or a
// line break in it would be read as protocol by the broker.
func ValidSubject(s string) bool {
	if s == "" || len(s) > maxSubject || s[len(s)-1] == '.' {
		return false
	}
	last := byte('.')
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == 0x7f || c == '*' || c == '>' || c == '.' && last == '.' {
			return false
		}
		last = c
	}
	return true
}

// CarriesReplies reports whether federation brokers publish replies to s. A client may have its replies
// sent to any subject, to an adapter for example; not to one where they would be taken for a request, an
// event or an order to the broker.
func CarriesReplies(s string) bool {
	if !ValidSubject(s) || s[0] == '$' || s[0] == '_' {
		return false
	}
	first, rest, _ := strings.Cut(s, ".")
	second, _, _ := strings.Cut(rest, ".")
	switch second {
	case "reply":
		return true
	case "broadcast", "node", "submission", "governor":
		return false
	}
	return first != "choria" // choria.federation, choria.lifecycle, choria.machine and what may follow
}

// ValidSite reports whether name can be that of a federated site: brokers give permissions for such
// names as one part of a subject.
func ValidSite(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(".*>", r)
	})
}
