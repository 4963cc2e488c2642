package cli

import (
	"fmt"
	"strings"
	"text/template"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/discovery"
)

// usageTemplate is the help: of the program, a list of commands with a line each; of a command, what
// it does, its flags and arguments, then examples and exit statuses.
const usageTemplate = `{{define "Line"}}{{if .FlagSummary}} {{.FlagSummary}}{{end}}{{range .Args}}{{if not .Hidden}} {{if not .Required}}[{{end}}{{if .PlaceHolder}}{{.PlaceHolder}}{{else}}<{{.Name}}>{{end}}{{if .Value|IsCumulative}}...{{end}}{{if not .Required}}]{{end}}{{end}}{{end}}{{end -}}
{{if .Context.SelectedCommand -}}
usage: {{.App.Name}} {{.Context.SelectedCommand}}{{template "Line" .Context.SelectedCommand}}{{if .Context.SelectedCommand.Commands}} <command> [<args> ...]{{end}}

{{.Context.SelectedCommand.Help|Wrap 0}}
{{else -}}
usage: {{.App.Name}} [<flags>] <command> [<args> ...]

{{.App.Help|Wrap 0}}
{{end -}}
{{if .Context.Args}}Args:
{{.Context.Args|ArgsToTwoColumns|FormatTwoColumns}}
{{end -}}
{{if .Context.Flags}}Flags:
{{.Context.Flags|FlagsToTwoColumns|FormatTwoColumns}}
{{end -}}
{{if .Context.SelectedCommand -}}
{{if .Context.SelectedCommand.Commands}}Commands:
{{range .Context.SelectedCommand.Commands}}{{if not .Hidden}}  {{printf "%-12s" .Name}}  {{.Help|Synopsis}}
{{end}}{{end}}
{{end -}}
{{if .Context.SelectedCommand.HelpLong}}{{.Context.SelectedCommand.HelpLong}}
{{end -}}
{{else -}}
Commands:
{{range .App.Commands}}{{if not .Hidden}}  {{printf "%-12s" .Name}}  {{.Help|Synopsis}}
{{end}}{{end}}
Examples:
  {{.App.Name}} ping                                        who is there
  {{.App.Name}} rpc rpcutil ping -F os.family=Debian        run an action on the nodes that match
  {{.App.Name}} find -C role::web -j                        names of nodes, for programs
  {{.App.Name}} help rpc                                    all about a command
{{end -}}
`

// usageFuncs are what usageTemplate needs besides the functions of kingpin.
var usageFuncs = template.FuncMap{
	"Synopsis": func(help string) string {
		line, _, _ := strings.Cut(help, "\n")
		return strings.TrimSuffix(line, ".")
	},
	"FlagsToTwoColumns": flagRows,
}

// flagRows returns the names of flags and what they are for. Switches are shown without their --no-
// form, unless they are on by default.
func flagRows(flags []*kingpin.FlagModel) [][2]string {
	var rows [][2]string
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name := "    --" + f.Name
		if f.Short != 0 {
			name = fmt.Sprintf("-%c, --%s", f.Short, f.Name)
		}
		switch {
		case !f.IsBoolFlag():
			name += "=" + f.FormatPlaceHolder()
		case len(f.Default) > 0 && f.Default[0] == "true":
			name = strings.Replace(name, "--", "--[no-]", 1)
		}
		help := f.Help
		if f.Name == "help" {
			help = "Show this help"
		}
		if f.Envar != "" {
			help += " ($" + f.Envar + ")"
		}
		rows = append(rows, [2]string{name, help})
	}
	return rows
}

// extraOptions puts the options of MCOLLECTIVE_EXTRA_OPTS where the leading options of a command are:
// right behind its name.
func extraOptions(args []string, extra string) ([]string, error) {
	if extra == "" || len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return args, nil
	}
	words, err := discovery.SplitWords(extra)
	if err != nil {
		return nil, fmt.Errorf("MCOLLECTIVE_EXTRA_OPTS: %w", err)
	}
	return append(append([]string{args[0]}, words...), args[1:]...), nil
}
