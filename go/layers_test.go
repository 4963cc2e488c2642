package choria_test

import (
	"encoding/json"
	"go/types"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "choria.io/choria/"

// layers are the packages below go/, lowest first. A package imports packages of lower layers, and
// of its own layer where peers says so.
var layers = [][]string{
	{"internal/build", "internal/jsonscan", "internal/metrics", "internal/subprocess"},
	{"filter", "ddl", "lifecycle", "internal/config", "internal/cspec"},
	{"agent", "internal/protocol", "internal/security", "internal/security/pki", "internal/vectors"},
	{"internal/daemon", "internal/transport", "internal/policy", "internal/discovery", "internal/enroll", "internal/puppettask", "internal/streams",
		"internal/hotload", "internal/rubyagent", "internal/externalagent"},
	{"internal/agents", "internal/puppettask/puppettasktest", "internal/node", "internal/broker", "internal/federation", "internal/adapter", "client"},
	{"choria", "internal/playbook", "internal/lab"},
	{"internal/lab/labtest", "internal/lab/host", "internal/cli", "internal/monitoring"},
	{"cmd/choria-server", "cmd/choria-broker", "cmd/choria"},
}

// peers are the imports within one layer: importer to imported.
var peers = map[string][]string{
	"internal/streams":       {"internal/transport"},
	"internal/rubyagent":     {"internal/hotload"},
	"internal/externalagent": {"internal/hotload"},
}

// banned is what a binary must not link, by prefix, and why its users would pay for it.
var banned = map[string][]string{
	"cmd/choria-server": {
		"github.com/nats-io/nats-server", "github.com/alecthomas/kingpin", "github.com/jedib0t/go-pretty", "github.com/twmb/franz-go",
		module + "go/client", module + "go/internal/playbook", module + "go/internal/cli", module + "go/internal/broker",
	},
	"cmd/choria": {"github.com/nats-io/nats-server", "github.com/twmb/franz-go", module + "go/internal/node", module + "go/internal/broker"},
}

// only are dependencies that belong to few packages: dependency prefix to the packages that may
// import it, by prefix.
var only = map[string][]string{
	"github.com/nats-io/nats-server": {"internal/broker", "internal/lab/labtest"},
	"github.com/nats-io/nats.go":     {"internal/transport", "internal/streams", "internal/adapter", "internal/lab/host", "internal/lab/bench"}, // the lab measures what bare connections take
}

// A listed package is what go list tells of one.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// short returns the path of one of our packages below go/, empty for the packages of others.
func short(path string) string {
	rest, ok := strings.CutPrefix(path, module+"go/")
	if !ok {
		return ""
	}
	return rest
}

func list(t *testing.T, patterns ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, patterns...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// layer returns the layer of a package; sub-packages are in the layer of the nearest package named.
func layer(name string) int {
	best, found := -1, ""
	for i, names := range layers {
		for _, n := range names {
			if (name == n || strings.HasPrefix(name, n+"/")) && len(n) > len(found) {
				best, found = i, n
			}
		}
	}
	return best
}

// family returns the package that name is or belongs to: the parts of one import one another freely.
func family(name string) string {
	parts := strings.SplitN(name, "/", 3)
	if parts[0] == "internal" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func within(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return name == p || strings.HasPrefix(name, p+"/")
	})
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := short(p.ImportPath)
		if name == "" {
			continue
		}
		from := layer(name)
		if from < 0 {
			t.Errorf("%s is in no layer: add it to layers", name)
			continue
		}
		for _, imported := range p.Imports {
			other := short(imported)
			if other == "" || family(other) == family(name) {
				continue
			}
			to := layer(other)
			if to > from || to == from && !slices.Contains(peers[name], other) {
				t.Errorf("%s (layer %d) imports %s (layer %d)", name, from, other, to)
			}
		}
		for dep, owners := range only {
			if within(name, owners) {
				continue
			}
			for _, imported := range p.Imports {
				if strings.HasPrefix(imported, dep) {
					t.Errorf("%s imports %s, which only %v may", name, imported, owners)
				}
			}
		}
	}
}

func TestBinariesLinkOnlyWhatTheyNeed(t *testing.T) {
	for binary, bans := range banned {
		for _, p := range list(t, "./"+binary) {
			for _, dep := range p.Deps {
				for _, ban := range bans {
					if strings.HasPrefix(dep, ban) {
						t.Errorf("%s links %s", binary, dep)
					}
				}
			}
		}
	}
}

// TestPublicPackagesShowNoInternals holds that no exported signature of a public package needs a
// type that its importers cannot name.
func TestPublicPackagesShowNoInternals(t *testing.T) {
	public := []string{"./agent", "./choria", "./client", "./ddl", "./filter", "./lifecycle"}
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedExportFile}, public...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != len(public) {
		t.Fatalf("loaded %d packages, want %d", len(pkgs), len(public))
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Fatalf("%s: %v", p.PkgPath, e)
		}
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			obj := scope.Lookup(name)
			if !obj.Exported() {
				continue
			}
			for _, bad := range internals(obj) {
				t.Errorf("%s.%s shows %s", p.PkgPath, name, bad)
			}
		}
	}
}

// internals returns the internal types in the exported surface of obj.
func internals(obj types.Object) []string {
	var found []string
	seen := map[types.Type]bool{}
	var walk func(t types.Type)
	walk = func(t types.Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.Alias:
			walk(types.Unalias(t))
		case *types.Named:
			if pkg := t.Obj().Pkg(); pkg != nil && strings.Contains(pkg.Path()+"/", "/internal/") && strings.HasPrefix(pkg.Path(), module) {
				found = append(found, t.Obj().Pkg().Path()+"."+t.Obj().Name())
				return
			}
			if t.Obj().Pkg() != obj.Pkg() {
				return // a public type of another package answers for itself
			}
			for i := range t.NumMethods() {
				if m := t.Method(i); m.Exported() {
					walk(m.Type())
				}
			}
			walk(t.Underlying())
		case *types.Struct:
			for i := range t.NumFields() {
				if f := t.Field(i); f.Exported() {
					walk(f.Type())
				}
			}
		case *types.Interface:
			for i := range t.NumMethods() {
				walk(t.Method(i).Type())
			}
		case *types.Signature:
			for i := range t.Params().Len() {
				walk(t.Params().At(i).Type())
			}
			for i := range t.Results().Len() {
				walk(t.Results().At(i).Type())
			}
		case *types.Map:
			walk(t.Key())
			walk(t.Elem())
		case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
			walk(t.Elem())
		}
	}
	walk(obj.Type())
	return found
}
