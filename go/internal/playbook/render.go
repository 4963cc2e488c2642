package playbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// HasResult reports whether the plan returned something to show: undef is nothing, false is something.
func (o *Outcome) HasResult() bool {
	return len(o.Result) > 0 && string(o.Result) != "null"
}

// Render writes what came of a run for people.
func (o *Outcome) Render(w io.Writer, s *Session, colour bool) error {
	paint := func(code, text string) string {
		if !colour {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	verdict := paint("32", "OK")
	if !o.Success() {
		verdict = paint("31", "FAILED")
	}
	fmt.Fprintf(w, "\nPlaybook %s ran in %.2f seconds: %s\n", paint("1", s.Playbook), o.End.Sub(o.Start).Seconds(), verdict)
	if o.Failure != nil || !o.HasResult() {
		return nil
	}
	masked, err := s.Secrets.MaskJSON(o.Result)
	if err != nil {
		return fmt.Errorf("result of playbook %s: %w", s.Playbook, err)
	}
	var text string
	if json.Unmarshal(masked, &text) != nil {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, masked, "", "  "); err != nil {
			return err
		}
		text = pretty.String()
	}
	_, err = fmt.Fprintf(w, "\nResult:\n\n%s\n", printable(text))
	return err
}

// RenderJSON writes what came of a run as one JSON document.
func (o *Outcome) RenderJSON(w io.Writer, s *Session) error {
	doc := struct {
		Playbook string          `json:"playbook"`
		Run      string          `json:"run_id"`
		Success  bool            `json:"success"`
		Seconds  float64         `json:"seconds"`
		Result   json.RawMessage `json:"result"`
		Error    *Failure        `json:"error"`
	}{s.Playbook, s.id, o.Success(), since(o.Start, o.End), o.Result, o.Failure}
	if len(doc.Result) == 0 {
		doc.Result = json.RawMessage("null")
	}
	if o.Failed != "" {
		doc.Error = &Failure{Msg: o.Failed, Kind: "choria.playbook/failed"}
	}
	if doc.Error != nil && s.Log.Level > Debug {
		failure := *doc.Error
		failure.Trace = nil
		doc.Error = &failure
	}
	raw, err := json.Marshal(doc)
	if err == nil {
		raw, err = s.Secrets.MaskJSON(raw)
	}
	if err != nil {
		return fmt.Errorf("result of playbook %s: %w", s.Playbook, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, pretty.String())
	return err
}

// Render writes the description of a playbook for people.
func (s *Signature) Render(w io.Writer, name string) {
	fmt.Fprintf(w, "Playbook %s\n", name)
	if s.Summary != "" {
		fmt.Fprintf(w, "\n  %s\n", printable(s.Summary))
	}
	if s.Doc != "" {
		fmt.Fprintf(w, "\n  %s\n", printable(s.Doc))
	}
	s.RenderOptions(w)
	if s.Returns != "" {
		fmt.Fprintf(w, "\nReturns: %s\n", printable(s.Returns))
	}
	fmt.Fprintf(w, "\nDefined in %s:%d\n", s.File, s.Line)
}

// RenderOptions writes the parameters of a playbook as the options that they are on the command line.
func (s *Signature) RenderOptions(w io.Writer) {
	if len(s.Parameters) == 0 {
		fmt.Fprint(w, "\nThe playbook has no parameters.\n")
		return
	}
	fmt.Fprint(w, "\nParameters:\n")
	for _, p := range s.Parameters {
		fmt.Fprintf(w, "  %-30s %s", p.option(), printable(p.Text))
		switch {
		case p.Required:
			fmt.Fprint(w, ", required")
		case p.Default != nil:
			fmt.Fprintf(w, ", default %s", printable(*p.Default))
		}
		fmt.Fprintln(w)
		if p.Doc != "" {
			fmt.Fprintf(w, "  %-30s %s\n", "", printable(p.Doc))
		}
	}
}

// option is how the parameter is given on the command line.
func (p *Parameter) option() string {
	name := strings.ToLower(p.Name)
	switch p.Type.kind() {
	case "boolean":
		return "--[no-]" + name
	case "integer", "float", "numeric":
		return "--" + name + " N"
	case "array":
		return "--" + name + " VALUE ..."
	case "hash", "struct":
		return "--" + name + " JSON"
	case "enum":
		return "--" + name + " " + strings.Join(p.Type.inner().Values, "|")
	}
	return "--" + name + " VALUE"
}

// OptionNames returns the options of running a playbook, of one without a signature those that every run has.
func OptionNames(sig *Signature) []string {
	var names []string
	if sig != nil {
		for _, p := range sig.Parameters {
			name := strings.ToLower(p.Name)
			names = append(names, "--"+name)
			if p.Type.kind() == "boolean" {
				names = append(names, "--no-"+name)
			}
		}
	}
	for _, o := range CommandOptions() {
		for _, name := range o.Names {
			if len(name) > 1 {
				names = append(names, "--"+name)
			}
		}
	}
	return names
}

// RenderCommandOptions writes the options that every run has.
func RenderCommandOptions(w io.Writer) {
	fmt.Fprint(w, "\nOptions:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range CommandOptions() {
		var names []string
		for i := len(o.Names) - 1; i >= 0; i-- {
			dash := "--"
			if len(o.Names[i]) == 1 {
				dash = "-"
			}
			names = append(names, dash+o.Names[i])
		}
		fmt.Fprintf(t, "  %s %s\t%s\n", strings.Join(names, ", "), o.Value, o.Doc)
	}
	t.Flush()
}
