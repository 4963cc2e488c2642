package policy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/ddl"
)

// shipped is where the policies are that packages install.
const shipped = "../../../packaging/policies"

// Every agent that is built in has a policy, in which only actions that look are open to everybody.
func TestShippedPolicies(t *testing.T) {
	p := &Policies{Dir: shipped, AllowUnconfigured: true}
	open := make(map[string][]string)
	for _, a := range ddl.Builtin() {
		name := a.Metadata.Name
		if _, err := os.Stat(filepath.Join(shipped, name+".policy")); err != nil {
			t.Errorf("agent %s has no policy: %v", name, err)
		}
		for _, act := range a.Actions {
			if !p.Decide(&Request{Agent: name, Action: act.Name, Caller: "choria=anybody"}).Allow {
				continue
			}
			open[name] = append(open[name], act.Name)
			if act.Impact != "read" {
				t.Errorf("%s#%s is open to everybody and its impact is %q", name, act.Name, act.Impact)
			}
		}
	}
	for _, want := range []string{"rpcutil ping", "choria_util info"} {
		agent, action, _ := strings.Cut(want, " ")
		if !slices.Contains(open[agent], action) {
			t.Errorf("%s#%s is not open; what is: %v", agent, action, open)
		}
	}
	for _, name := range []string{"shell", "filemgr"} {
		if len(open[name]) > 0 {
			t.Errorf("%s: %v are open to everybody", name, open[name])
		}
	}
}
