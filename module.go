// Package choriamodule holds the Puppet and Ruby files that playbooks need.
package choriamodule

import "embed"

// FS holds the modules that every playbook finds: the module choria, which is the root of this file
// system, and below modules/ the companions cspec and mcollective_agent_puppet. The playbook host
// unpacks them for the run, so that client and module are always of one version.
//
//go:embed metadata.json lib/puppet lib/puppet_x plans types/node.pp types/nodes.pp types/shellsafe.pp
//go:embed modules/cspec modules/mcollective_agent_puppet/metadata.json modules/mcollective_agent_puppet/plans
var FS embed.FS
