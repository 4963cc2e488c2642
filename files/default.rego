# What is decided for agents that have no policy of their own: everybody may look whether a node is
# there, nothing else.
package io.choria.mcorpc.authpolicy

import rego.v1

default allow := false

allow if {
	input.agent == "rpcutil"
	input.action == "ping"
}
