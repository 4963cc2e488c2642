package cli

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/config"
)

// A configCommand is one run of the command config.
type configCommand struct {
	*env
	key    string
	file   string
	all    bool
	asJSON bool
	reveal bool
}

func addConfig(e *env, app *kingpin.Application) {
	c := &configCommand{env: e}
	cmd := app.Command("config", "Shows the settings in force and where each comes from.")
	cmd.HelpLong(fmt.Sprintf(`Without a key every setting that has a value is listed with the file and line that it comes from; with a
key everything about that one is shown. Passwords and tokens are masked.

Examples:
  %[1]s config
  %[1]s config plugin.choria.middleware_hosts
  %[1]s config --file /etc/choria/server.conf --all

Exit status: 1 when the configuration cannot be read or there is no such key.
`, e.name))
	cmd.Arg("key", "Name of the setting").StringVar(&c.key)
	cmd.Flag("file", "A server's or broker's configuration file").PlaceHolder("FILE").StringVar(&c.file)
	cmd.Flag("all", "List settings without a value too").BoolVar(&c.all)
	cmd.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	cmd.Flag("reveal", "Show passwords and tokens").BoolVar(&c.reveal)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

// A setting is one key with its value in force.
type setting struct {
	Key         string   `json:"key"`
	Value       any      `json:"value"`
	Source      string   `json:"source"`         // as people read it
	File        string   `json:"file,omitempty"` // where it is set, when that is in a file
	Line        int      `json:"line,omitempty"`
	Type        string   `json:"type,omitempty"` // these are empty for the settings of plugins
	Default     string   `json:"default,omitempty"`
	Accepted    []string `json:"accepted,omitempty"`
	Environment string   `json:"environment,omitempty"`
	Description string   `json:"description,omitempty"`

	text string
}

func (c *configCommand) run() error {
	cfg, scope, err := c.load()
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(c.stderr, "warning:", printable(w))
	}
	if c.key != "" {
		return c.one(cfg)
	}
	return c.list(cfg, scope)
}

// load reads the files; scope is of whom the defaults are.
func (c *configCommand) load() (cfg *config.Config, scope string, err error) {
	if c.file == "" {
		cfg, err = config.LoadClient(c.config)
		return cfg, "C", err
	}
	cfg, err = config.Load(c.file)
	if err != nil {
		return nil, "", err
	}
	if cfg.BrokerNetwork || cfg.BrokerFederation || len(cfg.Adapters) > 0 {
		return cfg, "B", nil
	}
	return cfg, "S", nil
}

func (c *configCommand) one(cfg *config.Config) error {
	s, ok := c.setting(cfg, c.key)
	if !ok {
		err := fmt.Errorf("no setting %q is known or set", c.key)
		if near := config.Near(c.key); len(near) > 0 {
			return withHint(err, "did you mean %s?", strings.Join(near, " or "))
		}
		return withHint(err, "run %s config --all", c.name)
	}
	if c.asJSON {
		return c.json(s)
	}
	fmt.Fprintf(c.stdout, "%s\n\n", printable(s.Key))
	for _, line := range [...][2]string{
		{"Value", s.text}, {"From", s.Source}, {"Type", s.Type}, {"Accepted", strings.Join(s.Accepted, ", ")},
		{"Default", s.Default}, {"Environment", s.Environment},
	} {
		if line[1] != "" || line[0] == "Value" {
			fmt.Fprintf(c.stdout, "%s: %s\n", padLeft(line[0], 14), printable(line[1]))
		}
	}
	if s.Description != "" {
		fmt.Fprintf(c.stdout, "\n%s.\n", s.Description)
	}
	return nil
}

func (c *configCommand) list(cfg *config.Config, scope string) error {
	set := cfg.Keys()
	names := slices.Clone(set)
	for _, k := range config.Known() {
		if strings.Contains(k.Scope, scope) && !strings.Contains(k.Name, "*") && !slices.Contains(set, k.Name) {
			names = append(names, k.Name)
		}
	}
	slices.Sort(names)
	settings := []setting{} // never null in JSON
	for _, name := range names {
		s, _ := c.setting(cfg, name)
		if s.text == "" && !c.all {
			continue
		}
		if k, _ := config.Lookup(name); s.text == "" && k.Derived != "" {
			s.text = "(" + k.Derived + ")"
		}
		settings = append(settings, s)
	}
	if c.asJSON {
		return c.json(struct {
			File     string    `json:"file"`
			Settings []setting `json:"settings"`
		}{cfg.File(), settings})
	}
	// The value is last: it may be as wide as it likes and pushes nothing to the right.
	keys, sources := 0, 0
	for _, s := range settings {
		keys = max(keys, utf8.RuneCountInString(printable(s.Key)))
		sources = max(sources, utf8.RuneCountInString(printable(s.Source)))
	}
	for _, s := range settings {
		line := pad(printable(s.Key), keys) + "  " + pad(printable(s.Source), sources) + "  " + printable(s.text)
		fmt.Fprintln(c.stdout, strings.TrimRight(line, " "))
	}
	return nil
}

// setting returns what is to be said about key; ok is false when it is neither known nor set.
func (c *configCommand) setting(cfg *config.Config, key string) (s setting, ok bool) {
	v, src, ok := cfg.Value(key)
	if !ok {
		return setting{}, false
	}
	s = setting{Key: key, Source: src.String()}
	if src.Line > 0 {
		s.File, s.Line = src.File, src.Line
	}
	k, known := config.Lookup(key)
	if known {
		if key == k.Alias {
			s.Key = k.Name
		}
		s.Type, s.Default, s.Accepted, s.Environment, s.Description = k.Type, k.Default, k.Enum, k.Env, k.Doc
		if s.Default == "" {
			s.Default = k.Derived
		}
	}
	mask := func(text string) string {
		if c.reveal {
			return text
		}
		return config.Mask(key, text)
	}
	s.text = mask(k.Format(v))
	switch v := v.(type) {
	case bool, int:
		s.Value = v
	case []string:
		list := []string{} // never null in JSON
		for _, item := range v {
			list = append(list, mask(item))
		}
		s.Value = list
	case time.Duration, fs.FileMode, string:
		s.Value = s.text
	}
	return s, true
}

func (c *configCommand) json(v any) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
