package policy

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a file that looks old enough for its time of change to be believed.
func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func request(agent, action, caller string) *Request {
	return &Request{
		Agent: agent, Action: action, Caller: caller,
		Facts:   func() json.RawMessage { return json.RawMessage(`{"country":"mt","cores":4,"os":{"family":"RedHat"}}`) },
		Classes: func() []string { return []string{"nginx", "role::web"} },
	}
}

func TestRules(t *testing.T) {
	const rip = "choria=rip.mcollective"
	tests := []struct {
		name   string
		policy string
		action string
		caller string
		allow  bool
		rule   string // what follows the directory; empty: no line matches
	}{
		{"empty", "", "ping", rip, false, ""},
		{"default allow", "policy default allow\n", "ping", rip, true, ":1"},
		{"default deny", "# x\n\npolicy default deny\n", "ping", rip, false, ":3"},
		{"last default wins", "policy default allow\npolicy\tdefault  deny", "ping", rip, false, ":2"},
		{"allow all", "policy default deny\nallow\t*\t*\t*\t*\n", "ping", rip, true, ":2"},
		{"several tabs, CRLF", "allow\t\t*\t\t\t*\t*\t*\r\n", "ping", rip, true, ":1"},
		{"first match wins", "deny\t*\tping\t*\t*\nallow\t*\t*\t*\t*\n", "ping", rip, false, ":1"},
		{"first match wins, other action", "deny\t*\tping\t*\t*\nallow\t*\t*\t*\t*\n", "info", rip, true, ":2"},
		{"caller", "allow\tchoria=bob.mcollective choria=rip.mcollective\t*\t*\t*\n", "ping", rip, true, ":1"},
		{"caller is exact", "allow\tchoria=rip\t*\t*\t*\n", "ping", rip, false, ""},
		{"caller case", "allow\tchoria=RIP.mcollective\t*\t*\t*\n", "ping", rip, false, ""},
		{"caller regex is unanchored", "allow\t/ip\\.mco/\t*\t*\t*\n", "ping", rip, true, ":1"},
		{"caller regex", "allow\t/^choria=.*\\.ops$/\t*\t*\t*\n", "ping", rip, false, ""},
		{"star in a list is a name", "allow\t* choria=bob\t*\t*\t*\n", "ping", rip, false, ""},
		{"group", "allow\tops\t*\t*\t*\n", "ping", rip, true, ":1"},
		{"other group", "allow\tdevs\t*\t*\t*\n", "ping", rip, false, ""},
		{"groups do not nest", "allow\tnested\t*\t*\t*\n", "ping", rip, false, ""},
		{"actions", "allow\t*\tping info\t*\t*\n", "info", rip, true, ":1"},
		{"actions are exact", "allow\t*\tpin\t*\t*\n", "ping", rip, false, ""},
		{"fact", "allow\t*\t*\tcountry=mt\t*\n", "ping", rip, true, ":1"},
		{"facts, all of them", "allow\t*\t*\tcountry=mt cores>=8\t*\n", "ping", rip, false, ""},
		{"fact, nested", "allow\t*\t*\tos.family=/^red/\t*\n", "ping", rip, true, ":1"},
		{"fact, regex with parentheses", "allow\t*\t*\tos.family=/(red|oracle)/ country=~^(mt|uk)$\t*\n", "ping", rip, true, ":1"},
		{"fact, missing", "allow\t*\t*\tnope!=1\t*\n", "ping", rip, false, ""},
		{"class", "allow\t*\t*\t*\tnginx role::web\n", "ping", rip, true, ":1"},
		{"class, all of them", "allow\t*\t*\t*\tnginx apache\n", "ping", rip, false, ""},
		{"class regex", "allow\t*\t*\t*\t/^role::/\n", "ping", rip, true, ":1"},
		{"four fields: any classes", "allow\t*\t*\tcountry=mt\n", "ping", rip, true, ":1"},
		{"condition that does not hold", "allow\t*\t*\tcountry=mt and !nginx\t*\n", "ping", rip, false, ""},
		{"condition that holds", "allow\t*\t*\tcountry=mt and !apache\t*\n", "ping", rip, true, ":1"},
		{"condition and classes", "allow\t*\t*\tcountry=mt and !apache\tapache\n", "ping", rip, false, ""},
		{"condition in the classes", "allow\t*\t*\t*\tnginx and not apache\n", "ping", rip, true, ":1"},
		{"conditions in both", "allow\t*\t*\t(country=mt)\tapache or not nginx\n", "ping", rip, false, ""},
		{"deny with a condition", "deny\t*\t*\tcountry=uk or (nginx)\t*\nallow\t*\t*\t*\t*\n", "ping", rip, false, ":1"},
		{"deny with a condition that does not hold", "deny\t*\t*\tnot nginx\t*\nallow\t*\t*\t*\t*\n", "ping", rip, true, ":2"},
		{"deny with a condition, other caller", "deny\tchoria=bob\t*\tnot nginx\t*\nallow\t*\t*\t*\t*\n", "ping", rip, true, ":2"},
		{"deny with a class among the facts denies", "deny\t*\t*\tapache country=mt\t*\nallow\t*\t*\t*\t*\n", "ping", rip, false, ":1"},
		{"allow with a class among the facts is left out", "allow\t*\t*\tnginx\t*\n", "ping", rip, false, ""},
		{"four fields: a class", "allow\t*\t*\tnginx\n", "ping", rip, true, ":1"},
		{"four fields: another class", "allow\t*\t*\tapache\n", "ping", rip, false, ""},
		{"four fields: a condition", "allow\t*\t*\tnginx and country=mt\n", "ping", rip, true, ":1"},
		{"allow with data that cannot be asked", "allow\t*\t*\tnone().x=1\t*\n", "ping", rip, false, ""},
		{"allow with a broken condition is left out", "allow\t*\t*\tnginx and\t*\n", "ping", rip, false, ""},
		{"allow without tabs is left out", "allow * * * *\nallow\t*\tinfo\t*\t*\n", "ping", rip, false, ""},
		{"allow with a broken regex is left out", "allow\t/(/\t*\t*\t*\nallow\t*\tping\t*\t*\n", "ping", rip, true, ":2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "rpcutil.policy", tt.policy)
			write(t, dir, "groups", "# people\nops choria=x choria=rip.mcollective\ndevs choria=bob\nnested ops\nbad/name choria=rip.mcollective\n")
			p := &Policies{Dir: dir}
			got := p.Decide(request("rpcutil", tt.action, tt.caller))
			want := Decision{tt.allow, filepath.Join(dir, "rpcutil.policy") + tt.rule}
			if tt.rule == "" {
				want.Rule += ": no line matches"
			}
			if got != want {
				t.Errorf("Decide = %+v; want %+v", got, want)
			}
		})
	}
}

// What an action runs by name is decided about by that name, unless the policy has no such names.
func TestThrough(t *testing.T) {
	known := []string{"download", "run_and_wait", "run_no_wait", "task_status"}
	const as = ": as run_and_wait, the policy names nothing that it runs"
	tests := []struct {
		name   string
		policy string
		allow  bool
		rule   string // what follows the file
	}{
		{"actions alone", "allow\t*\tdownload run_and_wait\t*\t*\n", true, ":1" + as},
		{"another action alone", "allow\t*\tdownload run_no_wait\t*\t*\n", false, ": no line matches" + as},
		{"actions of somebody else", "allow\tchoria=y\trun_and_wait\t*\t*\npolicy default deny\n", false, ":2" + as},
		{"a deny of the action", "deny\t*\trun_and_wait\t*\t*\nallow\t*\t*\t*\t*\n", false, ":1" + as},
		{"everything", "allow\t*\t*\t*\t*\n", true, ":1" + as},
		{"its name", "allow\t*\trun_and_wait\t*\t*\nallow\t*\tsite::backup\t*\t*\n", true, ":2"},
		{"another name, for others", "allow\t*\trun_and_wait\t*\t*\nallow\tchoria=y\tsite::other\t*\t*\n", false, ": no line matches"},
		{"a name that is denied", "deny\t*\tsite::backup\t*\t*\nallow\t*\t*\t*\t*\n", false, ":1"},
		{"a line that was left out", "allow\t*\trun_and_wait\t*\t*\nallow * site::other * *\n", false, ": no line matches"},
		{"a file that is broken", "allow\t*\trun_and_wait\t*\t*\npolicy default\n", false, `:2: "policy default": want policy default allow, or policy default deny`},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		write(t, dir, "bolt_tasks.policy", tt.policy)
		r := request("bolt_tasks", "site::backup", "choria=x")
		r.Through, r.Known = "run_and_wait", known
		got := (&Policies{Dir: dir}).Decide(r)
		if want := (Decision{tt.allow, filepath.Join(dir, "bolt_tasks.policy") + tt.rule}); got != want {
			t.Errorf("%s: Decide = %+v; want %+v", tt.name, got, want)
		}
	}
	// The same for a policy that is for agents without one: the words in it are actions of all agents.
	dir := t.TempDir()
	write(t, dir, "default.policy", "allow\t*\trun_and_wait restart\t*\t*\n")
	r := request("bolt_tasks", "site::backup", "choria=x")
	r.Through, r.Known = "run_and_wait", known
	if d := (&Policies{Dir: dir, Default: "default"}).Decide(r); d.Allow {
		t.Errorf("default policy: %+v; want that names which are not actions count as those of tasks", d)
	}
}

func TestBrokenPolicyDenies(t *testing.T) {
	const all = "allow\t*\t*\t*\t*\n"
	tests := []struct {
		policy string
		rule   string
	}{
		{"policy default alow\n" + all, `:1: "policy default alow": want policy default allow, or policy default deny`},
		{"policy allow\n" + all, `:1: "policy allow": want policy default allow, or policy default deny`},
		{all + "deny * * * *\n", `:2: "deny * * * *": want allow or deny, callers, actions, facts and classes with tabs between`},
		{all + "\n\ndeny\t/(/\t*\t*\t*\n", ":4: caller \"/(/\": error parsing regexp: missing closing ): `(`"},
		{all + "deny\t*\t*\t*\t/(/\n", ":2: class \"/(/\": error parsing regexp: missing closing ): `(`"},
		{all + "deny\t*\t*\tcountry=/(/\t*\n", ":2: fact \"country=/(/\": error parsing regexp: missing closing ): `(`"},
		{all + "deny\t*\t*\tcountry=mt and\t*\n", `:2: condition "country=mt and": it ends where a fact or a class is wanted`},
		{all + "deny\t*\t*\t(country=mt\t*\n", `:2: condition "(country=mt": a parenthesis is not closed`},
		{all + "deny\t*\t*\tcountry=mt) or nginx\t*\n", `:2: condition "country=mt) or nginx": ")": want and, or, or the end`},
		{all + "deny\t*\t*\tnot country=/(/\t*\n", ":2: condition \"not country=/(/\": fact \"country=/(/\": error parsing regexp: missing closing ): `(`"},
		{all + "deny\t*\t*\n", `:2: 3 fields: want allow or deny, callers, actions, facts and classes with tabs between`},
		{all + "permit\t*\t*\t*\t*\n", `:2: "permit": want allow, deny or policy default`},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		write(t, dir, "rpcutil.policy", tt.policy)
		var log bytes.Buffer
		p := &Policies{Dir: dir, AllowUnconfigured: true, Log: slog.New(slog.NewTextHandler(&log, nil))}
		got := p.Decide(request("rpcutil", "ping", "choria=x"))
		if want := (Decision{false, filepath.Join(dir, "rpcutil.policy") + tt.rule}); got != want {
			t.Errorf("Decide with %q = %+v; want %+v", tt.policy, got, want)
		}
		p.Decide(request("rpcutil", "ping", "choria=x"))
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors logged for %q; want 1:\n%s", n, tt.policy, &log)
		}
	}
}

func TestWithoutPolicy(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "site.policy", "policy default deny\nallow\t*\tping\t*\t*\n")
	tests := []struct {
		p    Policies
		want Decision
	}{
		{Policies{}, Decision{false, "no policy file for rpcutil"}},
		{Policies{AllowUnconfigured: true}, Decision{true, "no policy file for rpcutil"}},
		{Policies{Default: "site"}, Decision{true, filepath.Join(dir, "site.policy") + ":2"}},
		{Policies{Default: "missing"}, Decision{false, "no policy file for rpcutil"}},
	}
	if d := new(Policies).Decide(request("rpcutil", "ping", "choria=x")); d.Allow {
		t.Errorf("without a directory: %+v", d)
	}
	for i := range tests {
		p := &tests[i].p
		p.Dir = dir
		if got := p.Decide(request("rpcutil", "ping", "choria=x")); got != tests[i].want {
			t.Errorf("%d: Decide = %+v; want %+v", i, got, tests[i].want)
		}
	}
}

// allow_unconfigured is also the default of a file that has none.
func TestUnconfiguredDefault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rpcutil.policy", "deny\t*\tinventory\t*\t*\n")
	p := &Policies{Dir: dir, AllowUnconfigured: true}
	if d := p.Decide(request("rpcutil", "ping", "choria=x")); !d.Allow {
		t.Errorf("ping: %+v; want it allowed", d)
	}
	if d := p.Decide(request("rpcutil", "inventory", "choria=x")); d.Allow {
		t.Errorf("inventory: %+v; want it denied", d)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	p := &Policies{Dir: dir, AllowUnconfigured: true}
	if err := os.Mkdir(filepath.Join(dir, "rpcutil.policy"), 0o700); err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(request("rpcutil", "ping", "choria=x")); d.Allow || !strings.HasSuffix(d.Rule, "not a regular file") {
		t.Errorf("with a directory as policy: %+v; want a denial", d)
	}
	big := filepath.Join(dir, "big.policy")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(request("big", "ping", "choria=x")); d.Allow || !strings.Contains(d.Rule, "more than") {
		t.Errorf("with a huge policy: %+v; want a denial", d)
	}
	for _, agent := range []string{"", "..", "../x", `a\b`, "a/b"} {
		if d := p.Decide(request(agent, "ping", "choria=x")); d.Allow {
			t.Errorf("agent %q: %+v; want a denial", agent, d)
		}
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	p := &Policies{Dir: dir}
	r := request("rpcutil", "ping", "choria=x")
	steps := []struct {
		name, file, text string
		allow            bool
	}{
		{"no file", "", "", false},
		{"a file appears", "rpcutil.policy", "policy default allow\n", true},
		{"it changes", "rpcutil.policy", "policy default deny \n", false},
		{"it names a group", "rpcutil.policy", "allow\tops\t*\t*\t*\n", false},
		{"the group appears", "groups", "ops choria=x\n", true},
		{"the group changes", "groups", "ops choria=y\n", false},
	}
	for _, s := range steps {
		if s.file != "" {
			// No back-dating: changes within one tick of the file system have to be seen, too.
			if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if d := p.Decide(r); d.Allow != s.allow {
			t.Errorf("%s: %+v; want %v", s.name, d, s.allow)
		}
	}
	if err := os.Remove(filepath.Join(dir, "rpcutil.policy")); err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(r); d.Allow || d.Rule != "no policy file for rpcutil" {
		t.Errorf("after removal: %+v", d)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rpcutil.policy", "allow * * * *\nallow\t*\t*\tx=1 and\t*\ndeny\t*\t*\tnginx\t*\nallow\tops\t*\t*\t*\n")
	write(t, dir, "groups", "b@d choria=x\n")
	var log bytes.Buffer
	p := &Policies{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))}
	p.Check([]string{"rpcutil", "other"})
	p.Check([]string{"rpcutil", "other"})
	for _, want := range []string{"rpcutil.policy:1:", "rpcutil.policy:2:", "rpcutil.policy:3:", "groups:1:", "denies whatever the facts are"} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q logged %d times; want once:\n%s", want, n, &log)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "rpcutil.policy", "policy default deny\nallow\t/^choria=nobody/\t*\t*\t*\nallow\t*\tping\t*\t*\n")
	p := &Policies{Dir: dir}
	r := request("rpcutil", "ping", "choria=rip.mcollective")
	b.ReportAllocs()
	for b.Loop() {
		if !p.Decide(r).Allow {
			b.Fatal("denied")
		}
	}
}

// Whatever a file says, only a line that starts with allow, or a default of allow, lets anybody in.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("policy default deny\nallow\tops\tping info\tcountry=mt cores>=2\tnginx /web/\n"), []byte("ops choria=x\n"))
	f.Add([]byte("policy default allow\ndeny\t/x/\t*\tnot (a=1)\t*\r\n"), []byte("# none"))
	f.Add([]byte("allow\t*\t*\n\x00\xff\tdeny"), []byte("\x00 \x00"))
	f.Fuzz(func(t *testing.T, policy, groups []byte) {
		pf, gf := &file{path: "p"}, &file{path: "g"}
		err := parseRules(pf, policy)
		if parseGroups(gf, groups) != nil || (err == nil) != (pf.rules != nil) {
			t.Fatalf("rules %v, err %v", pf.rules, err)
		}
		if err != nil {
			return
		}
		d := pf.rules.decide(request("rpcutil", "ping", "choria=x"), gf.groups, false, nil)
		if d.Allow && !bytes.Contains(policy, []byte("allow")) {
			t.Errorf("allowed by %s of %q", d.Rule, policy)
		}
	})
}
