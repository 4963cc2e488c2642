// Package playbook runs playbooks: plans in the language of Puppet, whose every effect on the outside is
// made here.
//
// A Session starts one Ruby process that evaluates one plan. The two are connected by a socket pair, one
// end of which is the child's descriptor 3, and speak JSON, one object a line:
//
//	→ hello   protocol number, directories, level of logs, what to do
//	← ready   the module path and the signature of the plan, or what is wrong with it
//	→ run     the parameters, once they are known from that signature
//	← task, discover, data.read, …: calls with an id
//	→ an answer with the same id: a result or an error
//	← log     a line that Puppet logged
//	← done    the result of the plan, or what ended it
//
// An interrupt of the child, which is in a process group of its own, makes the plan unwind.
//
// The Ruby side is lib/puppet_x/choria/runner.rb and the functions in lib/puppet/functions/choria. It
// gets no credentials and no configuration, checks types, and passes data.
package playbook
