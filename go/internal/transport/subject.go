package transport

import (
	"crypto/md5"
	"encoding/hex"
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
