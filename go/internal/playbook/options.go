package playbook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A UsageError is a command line or an input that is no good; nothing has been run.
type UsageError struct {
	Err  error
	Cure string // what to do about it; may be empty
}

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what was wrong.
func (e *UsageError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *UsageError) Hint() string { return e.Cure }

func usage(format string, args ...any) error { return &UsageError{Err: fmt.Errorf(format, args...)} }

// Options is the command line of a run. The options of a playbook are known only once its signature is, for
// which its name and the module path are needed: ParseOptions finds those, Parameters all others.
type Options struct {
	Name       string
	Config     string
	Modulepath []string // nil: that of the installed Puppet
	Level      Level
	Help       bool
	JSON       bool
	RunReport  string

	// Exposed are the arguments, or ends of arguments, that hold secrets: Parameters finds them. Whoever may list
	// processes can read them.
	Exposed []string

	inputs []string // of --input, as given
	params []string // of --param
	args   []string // what came behind the name
}

// An Option is one option of the command itself.
type Option struct {
	Names []string // without dashes
	Value string   // what it takes, for the help; empty: nothing
	Doc   string

	// Extra options give way to parameters of the same name.
	Extra bool

	set func(o *Options, value string) error
}

// CommandOptions returns the options that every run has.
func CommandOptions() []Option {
	return []Option{
		{Names: []string{"input"}, Value: "VALUE", Doc: "Parameters: a JSON object, @FILE with JSON or YAML, or @- for standard input; may be given repeatedly",
			set: func(o *Options, v string) error { o.inputs = append(o.inputs, v); return nil }},
		{Names: []string{"param"}, Value: "NAME=VALUE", Doc: "One parameter, also one whose name is that of an option of the command",
			set: func(o *Options, v string) error { o.params = append(o.params, v); return nil }},
		{Names: []string{"modulepath"}, Value: "PATH", Doc: "Directories of modules, separated by colons",
			set: func(o *Options, v string) error { o.Modulepath = SplitModulepath(v); return nil }},
		{Names: []string{"loglevel"}, Value: "LEVEL", Doc: "Which lines to show: " + strings.Join(LevelNames(), ", "),
			set: func(o *Options, v string) (err error) { o.Level, err = ParseLevel(v); return err }},
		{Names: []string{"config", "c"}, Value: "FILE", Doc: "Client configuration file",
			set: func(o *Options, v string) error { o.Config = v; return nil }},
		{Names: []string{"verbose", "v"}, Doc: "The same as --loglevel debug",
			set: func(o *Options, _ string) error { o.Level = Debug; return nil }},
		{Names: []string{"help", "h"}, Doc: "Show this help",
			set: func(o *Options, _ string) error { o.Help = true; return nil }},
		{Names: []string{"json"}, Extra: true, Doc: "Print one JSON document; the log goes to standard error",
			set: func(o *Options, _ string) error { o.JSON = true; return nil }},
		{Names: []string{"run-report"}, Value: "FILE", Extra: true, Doc: "Write a report of the run, a JSON file",
			set: func(o *Options, v string) error { o.RunReport = v; return nil }},
	}
}

// SplitModulepath splits a module path and makes its directories absolute. Empty parts are left out.
func SplitModulepath(path string) []string {
	dirs := []string{}
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			continue
		}
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// ParseOptions parses what can be parsed without knowing the playbook: all before its name, and behind it
// what must be known to find it.
func ParseOptions(args []string) (*Options, error) {
	o := &Options{Level: Info}
	for len(args) > 0 {
		if !isOption(args[0]) {
			o.Name, o.args = args[0], args[1:]
			break
		}
		word := args[0]
		option, rest, err := o.take(args, nil)
		if err != nil {
			return nil, err
		}
		if option == nil {
			return nil, usage("unknown option %s before the name of the playbook", word)
		}
		args = rest
	}
	if o.Name == "" && !o.Help {
		return nil, errors.New("no playbook was named")
	}
	if o.Name != "" && !validName(o.Name) {
		return nil, usage("%q cannot be the name of a playbook: want module::name", o.Name)
	}
	o.Name = strings.TrimPrefix(o.Name, "::")
	// What looks like --modulepath behind the name may be the value of another option, but that is
	// found out when all is known.
	early := &Options{Level: o.Level}
	for rest := o.args; len(rest) > 0; {
		option, more, err := early.take(rest, nil)
		if err != nil || option == nil {
			more = rest[1:]
		}
		rest = more
	}
	if early.Modulepath != nil {
		o.Modulepath = early.Modulepath
	}
	if early.Config != "" {
		o.Config = early.Config
	}
	o.Help, o.Level, o.JSON = o.Help || early.Help, early.Level, o.JSON || early.JSON
	return o, nil
}

func isOption(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// take parses one option of the command at the start of args. It returns nil when it is none.
func (o *Options) take(args []string, sig *Signature) (*Option, []string, error) {
	if !isOption(args[0]) {
		return nil, args, nil
	}
	name, value, given := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	for _, option := range CommandOptions() {
		if !slices.Contains(option.Names, name) || len(name) == 1 && strings.HasPrefix(args[0], "--") {
			continue
		}
		if option.Extra && sig != nil && sig.find(name) != nil {
			return nil, args, nil
		}
		rest := args[1:]
		switch {
		case option.Value == "" && given:
			return nil, nil, usage("option --%s takes no value", name)
		case option.Value != "" && !given:
			if len(rest) == 0 {
				return nil, nil, usage("option --%s wants a value: %s", name, option.Value)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := option.set(o, value); err != nil {
			return nil, nil, usage("option --%s: %w", name, err)
		}
		return &option, rest, nil
	}
	return nil, args, nil
}

// Ask asks the user for the value of a secret parameter.
type Ask func(prompt string) (string, error)

// Parameters parses what came behind the name of the playbook and returns its parameters. Options win over
// --input.
func (o *Options) Parameters(sig *Signature, stdin []byte, ask Ask) (map[string]any, error) {
	b := &binder{sig: sig, values: map[string]any{}, ask: ask}
	for args := o.args; len(args) > 0; {
		option, rest, err := o.take(args, sig)
		if err == nil && option == nil {
			rest, err = b.option(o.Name, args)
		}
		if err != nil {
			return nil, err
		}
		args = rest
	}
	for _, param := range o.params {
		name, value, ok := strings.Cut(param, "=")
		p := sig.find(name)
		if !ok || p == nil {
			return nil, &UsageError{fmt.Errorf("option --param %s: want NAME=VALUE with a parameter of the playbook", name), b.known(o.Name)}
		}
		if err := b.set(p, value); err != nil {
			return nil, err
		}
	}
	o.Exposed = b.exposed
	values := map[string]any{}
	for _, input := range o.inputs {
		object, err := readInput(input, stdin)
		if err != nil {
			return nil, &UsageError{Err: fmt.Errorf("option --input: %w", err)}
		}
		for name, value := range object {
			values[name] = value
			if p := sig.find(name); p != nil && p.Type.secret() && !strings.HasPrefix(input, "@") {
				o.Exposed = append(o.Exposed, input)
			}
		}
	}
	for name, value := range b.values {
		values[name] = value
	}
	return values, nil
}

// WantsStdin reports whether an input is to be read from standard input.
func (o *Options) WantsStdin() bool {
	return slices.Contains(o.args, "@-") || slices.Contains(o.args, "--input=@-")
}

// A binder turns options into parameters.
type binder struct {
	sig     *Signature
	values  map[string]any
	ask     Ask
	exposed []string // see Options.Exposed
}

// known says which options a playbook has.
func (b *binder) known(playbook string) string {
	if len(b.sig.Parameters) == 0 {
		return fmt.Sprintf("playbook %s has no parameters", playbook)
	}
	var names []string
	for _, p := range b.sig.Parameters {
		names = append(names, "--"+strings.ToLower(p.Name))
	}
	return fmt.Sprintf("playbook %s takes %s", playbook, strings.Join(names, ", "))
}

// option parses one option of the playbook at the start of args.
func (b *binder) option(playbook string, args []string) (rest []string, err error) {
	arg, rest := args[0], args[1:]
	name, ok := strings.CutPrefix(arg, "--")
	if !ok || name == "" {
		return nil, &UsageError{fmt.Errorf("unexpected %q", arg), b.known(playbook)}
	}
	name, value, given := strings.Cut(name, "=")
	name, key, keyed := strings.Cut(name, ".")
	p, negated := b.sig.find(name), false
	if p == nil {
		if positive, ok := cutNo(name); ok && !given {
			p, negated = b.sig.find(positive), true
			if p != nil && p.Type.kind() != "boolean" {
				p = nil
			}
		}
	}
	if p == nil {
		return nil, &UsageError{fmt.Errorf("unknown option --%s", name), b.known(playbook)}
	}
	if p.Type.kind() == "boolean" && !given {
		b.values[p.Name] = !negated
		return rest, nil
	}
	if !given {
		if len(rest) == 0 {
			return nil, usage("option --%s wants a value of type %s", name, p.Text)
		}
		value, rest = rest[0], rest[1:]
	}
	if keyed {
		return rest, b.setMember(p, key, value)
	}
	return rest, b.set(p, value)
}

func cutNo(name string) (string, bool) {
	for _, prefix := range []string{"no-", "no_"} {
		if positive, ok := strings.CutPrefix(name, prefix); ok {
			return positive, true
		}
	}
	return "", false
}

// set gives a parameter a value. What can hold several takes one more.
func (b *binder) set(p *Parameter, text string) error {
	text, err := b.secret(p, text)
	if err != nil {
		return err
	}
	t := p.Type.inner()
	kind := p.Type.kind()
	if kind == "variant" && !isJSON(text) {
		// Given repeatedly, a variant that has an array becomes one.
		if list := t.variant("array"); list != nil && b.values[p.Name] != nil {
			if _, ok := b.values[p.Name].([]any); !ok {
				b.values[p.Name] = []any{b.values[p.Name]}
			}
			t, kind = list, "array"
		}
	}
	if kind == "array" && !isJSON(text) {
		item, err := convert(t.Of, text)
		if err != nil {
			return usage("option --%s: %w", strings.ToLower(p.Name), err)
		}
		list, _ := b.values[p.Name].([]any)
		b.values[p.Name] = append(list, item)
		return nil
	}
	value, err := convert(p.Type, text)
	if err != nil {
		if p.Type.secret() { // the value is not to be shown
			err = fmt.Errorf("the value is no %s", kind)
		}
		return usage("option --%s: %w", strings.ToLower(p.Name), err)
	}
	if list, ok := value.([]any); ok {
		before, _ := b.values[p.Name].([]any)
		value = append(before, list...)
	}
	b.values[p.Name] = value
	return nil
}

// setMember gives one member of a hash a value.
func (b *binder) setMember(p *Parameter, key, text string) error {
	name := strings.ToLower(p.Name)
	t := p.Type.inner()
	if t.Kind == "variant" {
		t = t.variant("hash")
	}
	if t == nil || t.Kind != "hash" && t.Kind != "struct" {
		return usage("option --%s.%s: parameter %s is no hash but %s", name, key, p.Name, p.Text)
	}
	of := t.Of
	if t.Kind == "struct" {
		of = t.Members[key]
	}
	value, err := convert(of, text)
	if err != nil {
		return usage("option --%s.%s: %w", name, key, err)
	}
	m, ok := b.values[p.Name].(map[string]any)
	if !ok {
		m = map[string]any{}
		b.values[p.Name] = m
	}
	m[key] = value
	return nil
}

// secret returns the value of a parameter: that of a secret one may be asked for, or read from a file.
func (b *binder) secret(p *Parameter, text string) (string, error) {
	if !p.Type.secret() {
		return text, nil
	}
	if text == "-" && b.ask != nil {
		value, err := b.ask(p.Name)
		if err != nil {
			return "", usage("option --%s: %w", strings.ToLower(p.Name), err)
		}
		return value, nil
	}
	if path, ok := strings.CutPrefix(text, "@"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", usage("option --%s: %w", strings.ToLower(p.Name), err)
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	}
	b.exposed = append(b.exposed, text)
	return text, nil
}
