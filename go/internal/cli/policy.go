package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/goccy/go-yaml"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/policy"
)

// serverConfig is the configuration file of packaged servers.
const serverConfig = "/etc/choria/server.conf"

// A policyCommand is one run of policy check.
type policyCommand struct {
	*env
	caller, agent, action string
	task                  string // what the action runs by name, see policy.Request
	facts, classes        []string
	dir, file             string
	asJSON                bool
}

func addPolicy(e *env, app *kingpin.Application) {
	c := &policyCommand{env: e}
	cmd := app.Command("policy", "Explains the action policies of a node.")
	check := cmd.Command("check", "Decides about one request as a node would, and says which line decided and why.")
	check.HelpLong(fmt.Sprintf(`The policies are those of the server on this machine: the directory policies beside its configuration, decided
with its settings, facts and classes. With --dir they can be policies that are not installed anywhere yet.

Examples:
  %[1]s policy check --caller choria=bob.mcollective --agent puppet --action runonce
  %[1]s policy check --caller choria=bob.mcollective --agent package --action install --dir ./policies \
      --facts country=mt --facts os.family=Debian --classes role::web

Exit status: 0 when the request is allowed, 1 when it is denied or nothing can be decided.
`, e.name))
	check.Flag("caller", "Who makes the request").Required().PlaceHolder("ID").StringVar(&c.caller)
	check.Flag("agent", "Agent that is asked").Required().PlaceHolder("NAME").StringVar(&c.agent)
	check.Flag("action", "Action of the agent").Required().PlaceHolder("NAME").StringVar(&c.action)
	check.Flag("task", "Task that the action runs, as those of bolt_tasks: whether its name is allowed too").
		PlaceHolder("NAME").StringVar(&c.task)
	check.Flag("facts", "A fact, or a file of facts, YAML or JSON; in place of those of the server (repeat)").
		PlaceHolder("FILE|NAME=VALUE").StringsVar(&c.facts)
	check.Flag("classes", "Classes of the node, separated by commas; in place of those of the server (repeat)").
		PlaceHolder("CLASS,…").StringsVar(&c.classes)
	check.Flag("dir", "Directory of policies").PlaceHolder("DIR").StringVar(&c.dir)
	check.Flag("file", "Configuration file of the server, default "+serverConfig).PlaceHolder("FILE").StringVar(&c.file)
	check.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	check.Action(func(*kingpin.ParseContext) error { return c.check() })
}

func (c *policyCommand) check() error {
	if c.task != "" && c.agent != "bolt_tasks" {
		return fmt.Errorf("--task: agent %s runs no tasks, bolt_tasks does", c.agent)
	}
	cfg, err := c.server()
	if err != nil {
		return err
	}
	p := &policy.Policies{Dir: c.dir, AllowUnconfigured: cfg.ActionPolicyAllowsUnconfigured}
	if p.Dir == "" {
		p.Dir = filepath.Join(filepath.Dir(cfg.File()), "policies")
	}
	if _, err := os.Stat(p.Dir); err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	if cfg.ActionPolicyDefault {
		p.Default = cfg.ActionPolicyDefaultName
	}
	facts, err := readFacts(c.facts, cfg.FactFiles)
	if err != nil {
		return err
	}
	classes, err := readClasses(c.classes, cfg.ClassesFile)
	if err != nil {
		return err
	}
	r := &policy.Request{
		Agent: c.agent, Action: c.action, Caller: c.caller,
		Facts:   func() json.RawMessage { return facts },
		Classes: func() []string { return classes },
	}
	e := p.Explain(r)
	if e.Allow && c.task != "" {
		r.Action, r.Through, r.Known = c.task, c.action, ddl.BuiltinAgent(c.agent).ActionNames()
		e = p.Explain(r)
	}
	if cfg.AuthorizationProvider != policy.Provider && c.dir == "" {
		e = policy.Explanation{Decision: policy.Foreign(cfg.AuthorizationProvider)}
	}
	if c.asJSON {
		err = c.json(e)
	} else {
		c.text(cfg, e)
	}
	if err == nil && !e.Allow {
		err = &exit{code: exitFailed}
	}
	return err
}

// server returns the configuration of the server. Without one the policies of --dir are decided with
// the default settings.
func (c *policyCommand) server() (*config.Config, error) {
	file := c.file
	if file == "" {
		file = serverConfig
	}
	cfg, err := config.Load(file)
	switch {
	case err == nil:
		return cfg, nil
	case c.file == "" && errors.Is(err, fs.ErrNotExist) && c.dir != "":
		return config.New(), nil
	case c.file == "" && errors.Is(err, fs.ErrNotExist):
		return nil, withHint(err, "there is no server on this machine: name a directory of policies with --dir")
	}
	return nil, err
}

// readFacts returns the facts that were given, else those of the files of the server.
func readFacts(given, files []string) (json.RawMessage, error) {
	facts := make(map[string]any)
	if len(given) == 0 {
		given = files
	}
	for _, item := range given {
		if _, err := os.Stat(item); err == nil || !strings.Contains(item, "=") {
			data, err := os.ReadFile(item)
			if err == nil {
				err = yaml.Unmarshal(data, &facts) // JSON is YAML
			}
			if err != nil {
				return nil, fmt.Errorf("facts: %s: %w", item, err)
			}
			continue
		}
		name, text, _ := strings.Cut(item, "=")
		if err := setFact(facts, strings.Split(name, "."), text); err != nil {
			return nil, fmt.Errorf("facts: %s: %w", item, err)
		}
	}
	data, err := json.Marshal(facts)
	if err != nil {
		return nil, fmt.Errorf("facts: %w", err)
	}
	return data, nil
}

// setFact sets one fact, as in os.family=Debian. What is a JSON number or boolean becomes one.
func setFact(facts map[string]any, path []string, text string) error {
	for _, name := range path[:len(path)-1] {
		inner, ok := facts[name].(map[string]any)
		if facts[name] != nil && !ok {
			return fmt.Errorf("%q is no hash", name)
		}
		if !ok {
			inner = make(map[string]any)
			facts[name] = inner
		}
		facts = inner
	}
	var value any = text
	if number, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
		value = number
	} else if text == "true" || text == "false" {
		value = text == "true"
	}
	facts[path[len(path)-1]] = value
	return nil
}

// readClasses returns the classes that were given, else those of the file of the server, if there is one.
func readClasses(given []string, file string) ([]string, error) {
	var classes []string
	for _, list := range given {
		classes = append(classes, strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	if given != nil {
		return classes, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("classes: %w", err)
	}
	return strings.Fields(string(data)), nil
}

// policyLine splits FILE:LINE and reads that line. The text is empty for words that name no line.
func policyLine(where string) (file string, line int, text string) {
	// Behind a line that could not be evaluated there is why.
	where, _, _ = strings.Cut(where, ": ")
	i := strings.LastIndexByte(where, ':')
	if i < 0 {
		return "", 0, ""
	}
	line, err := strconv.Atoi(where[i+1:])
	if err != nil {
		return "", 0, ""
	}
	data, err := os.ReadFile(where[:i])
	if err != nil {
		return "", 0, ""
	}
	n := 0
	for text := range bytes.Lines(data) {
		if n++; n == line {
			return where[:i], line, strings.TrimRight(string(text), "\r\n")
		}
	}
	return "", 0, ""
}

// text explains the decision to people.
func (c *policyCommand) text(cfg *config.Config, e policy.Explanation) {
	for _, w := range e.Warnings {
		fmt.Fprintln(c.stderr, "warning:", printable(w.Error())+"; the line is left out")
	}
	if !cfg.Authorize {
		fmt.Fprintln(c.stderr, "warning: rpcauthorization is off, so the server allows everything and does not ask its policies")
	}
	if provider := cfg.AuthorizationProvider; provider != policy.Provider && c.dir != "" {
		fmt.Fprintf(c.stderr, "warning: rpcauthprovider is %s, so the server denies everything and does not ask action policies\n", provider)
	}
	verdict := "denied"
	if e.Allow {
		verdict = "allowed"
	}
	fmt.Fprintf(c.stdout, "%s by %s\n", verdict, printable(e.Rule))
	if _, _, text := policyLine(e.Rule); text != "" {
		fmt.Fprintf(c.stdout, "\n    %s\n", asTyped(text))
	}
	heading := "\nLines that were looked at before:\n"
	for _, s := range e.Steps {
		if s.Matches || s.Why == "" {
			continue
		}
		fmt.Fprint(c.stdout, heading)
		heading = ""
		_, _, text := policyLine(s.Where)
		fmt.Fprintf(c.stdout, "\n  %s: %s\n    %s\n", printable(s.Where), printable(s.Why), asTyped(text))
	}
}

// asTyped shows a line of a policy with its tabs as spaces.
func asTyped(text string) string { return printable(strings.ReplaceAll(text, "\t", "   ")) }

// json writes the decision and the lines that were looked at.
func (c *policyCommand) json(e policy.Explanation) error {
	type line struct {
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
		Text    string `json:"text,omitempty"`
		Allow   bool   `json:"allow"`
		Matches bool   `json:"matches"`
		Why     string `json:"why,omitempty"`
	}
	doc := struct {
		Allow bool   `json:"allow"`
		Rule  string `json:"rule"`
		File  string `json:"file,omitempty"`
		Line  int    `json:"line,omitempty"`
		Text  string `json:"text,omitempty"`
		Lines []line `json:"lines"`
	}{Allow: e.Allow, Rule: e.Rule, Lines: []line{}}
	doc.File, doc.Line, doc.Text = policyLine(e.Rule)
	for _, s := range e.Steps {
		file, n, text := policyLine(s.Where)
		doc.Lines = append(doc.Lines, line{file, n, text, s.Allow, s.Matches, s.Why})
	}
	enc := json.NewEncoder(c.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}
