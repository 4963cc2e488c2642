package agents

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// A resourceReply is the data of the action resource.
type resourceReply struct {
	Result  string `json:"result"`
	Changed bool   `json:"changed"`
}

// resource applies one resource, by a script for Puppet's own Ruby that reads it from standard input: no
// property, which may be a password, stands in a list of processes.
func (p *puppet) resource(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	data := &resourceReply{}
	reply.Data = data
	in, err := resourceInputs(req)
	if err != nil {
		return err
	}
	if err := p.mayManage(in.kind, in.title); err != nil {
		return aborted(err)
	}
	if !p.flag("plugin.puppet.resource_allow_managed_resources", false) {
		f, err := p.state.files(ctx)
		if err != nil {
			return aborted(err)
		}
		managed, err := f.manages(in.kind, in.title)
		if err != nil {
			return aborted(err)
		}
		if managed {
			return agent.Errorf(agent.Aborted, "Puppet manages %s[%s] on this node: what is set here would be set back", in.kind, in.title)
		}
	}
	data.Result, data.Changed, err = p.apply(ctx, in)
	if err != nil {
		return agent.Errorf(agent.Aborted, "%s[%s]: %v", in.kind, in.title, err)
	}
	return nil
}

// A puppetResource is one resource with its properties.
type puppetResource struct {
	kind, title, environment string
	properties               map[string]any
}

var (
	resourceKind     = regexp.MustCompile(`\A[a-z][a-z0-9_]*(::[a-z][a-z0-9_]*)*\z`)
	resourceProperty = regexp.MustCompile(`\A[a-z][a-z0-9_]*\z`)
)

func resourceInputs(req *agent.Request) (*puppetResource, error) {
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(req.Data))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil || all == nil {
		return nil, agent.Errorf(agent.InvalidData, "data of puppet#resource: want a JSON object of inputs")
	}
	delete(all, "process_results")
	if err := ddl.BuiltinAgent("puppet").Validate(req.Action, all); err != nil {
		return nil, agent.Errorf(agent.InvalidData, "%v", err)
	}
	r := &puppetResource{properties: all}
	for name, target := range map[string]*string{"type": &r.kind, "name": &r.title, "environment": &r.environment} {
		*target, _ = all[name].(string)
		delete(all, name)
	}
	if r.kind = strings.ToLower(r.kind); !resourceKind.MatchString(r.kind) {
		return nil, agent.Errorf(agent.InvalidData, "%q is no type of a resource", r.kind)
	}
	for name := range all {
		if !resourceProperty.MatchString(name) {
			return nil, agent.Errorf(agent.InvalidData, "%.40q is no name of a property", name)
		}
	}
	return r, nil
}

// mayManage holds a resource against the lists of the configuration. Without any list of types nothing
// may be managed. The lists are separated by commas.
func (p *puppet) mayManage(kind, title string) error {
	return firstError(
		p.allowed("type", kind, "plugin.puppet.resource_type_whitelist", "plugin.puppet.resource_type_blacklist", true),
		p.allowed("name", title, "plugin.puppet.resource_name_whitelist."+kind, "plugin.puppet.resource_name_blacklist."+kind, false),
	)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// allowed holds a word against two lists. When neither is set strict forbids it.
func (p *puppet) allowed(what, word, whiteKey, blackKey string, strict bool) error {
	list := func(key string) (words []string, set bool) {
		if p.setting == nil {
			return nil, false
		}
		text, ok := p.setting(key)
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				words = append(words, part)
			}
		}
		return words, ok
	}
	white, haveWhite := list(whiteKey)
	black, haveBlack := list(blackKey)
	if slices.Equal(white, []string{"none"}) {
		white = nil
	}
	switch {
	case haveWhite && haveBlack:
		return fmt.Errorf("the configuration has both %s and %s, of which one can be", whiteKey, blackKey)
	case haveBlack && slices.Contains(black, word):
		return fmt.Errorf("the %s %s is listed in the %s blacklist", word, what, what)
	case haveBlack:
		return nil
	case haveWhite || strict:
		if !slices.Contains(white, word) {
			return fmt.Errorf("the %s %s is not listed in the %s whitelist", word, what, what)
		}
	}
	return nil
}

//go:embed ruby/puppet_resource.rb
var resourceScript string

// apply applies a resource and returns what Puppet logged. The state of the Puppet agent is not touched.
func (p *puppet) apply(ctx context.Context, r *puppetResource) (text string, changed bool, err error) {
	input := struct {
		Type        string         `json:"type"`
		Title       string         `json:"title"`
		Properties  map[string]any `json:"properties"`
		Environment *string        `json:"environment"`
		Options     []string       `json:"options"`
	}{Type: r.kind, Title: r.title, Properties: r.properties, Options: []string{}}
	if r.environment != "" {
		input.Environment = &r.environment
	}
	dir, err := os.MkdirTemp("", "choria-puppet-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	input.Options = append(input.Options, "--statedir="+dir)
	if p.state.config != "" {
		input.Options = append(input.Options, "--config="+p.state.config)
	}
	stdin, err := json.Marshal(input)
	if err != nil {
		return "", false, err
	}
	c := command{argv: []string{p.ruby(), "-e", resourceScript}, env: []string{"LC_ALL=C.UTF-8"}, stdin: string(stdin)}
	f, err := c.run(ctx)
	if err != nil {
		return "", false, err
	}
	var result struct {
		Logs    []string `json:"logs"`
		Changed bool     `json:"changed"`
		Failed  bool     `json:"failed"`
	}
	if f.code != 0 {
		return "", false, fmt.Errorf("Puppet: exit code %d: %s", f.code, f.complaint())
	}
	if err := json.Unmarshal([]byte(f.stdout), &result); err != nil {
		return "", false, fmt.Errorf("Puppet: %q is no result", f.complaint())
	}
	text = strings.Join(result.Logs, "\n")
	if text == "" {
		text = "no output produced"
	}
	if result.Failed {
		err = errors.New(text)
	}
	return text, result.Changed, err
}

// ruby returns the Ruby that Puppet is installed for.
func (p *puppet) ruby() string {
	if path := p.setting.or("plugin.choria.ruby.command", ""); path != "" {
		return path
	}
	const packaged = "/opt/puppetlabs/puppet/bin/ruby"
	if executable(packaged) && (strings.HasPrefix(p.state.command[0], "/opt/puppetlabs/") || p.state.command[0] == "puppet") {
		return packaged
	}
	// The program puppet is a script, and its first line names the Ruby.
	if data, err := read(p.state.command[0], maxLock); err == nil {
		line, _, _ := strings.Cut(string(data), "\n")
		if words := strings.Fields(strings.TrimPrefix(line, "#!")); strings.HasPrefix(line, "#!") && len(words) == 1 && strings.Contains(words[0], "ruby") {
			return words[0]
		}
	}
	return "ruby"
}
