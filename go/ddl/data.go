package ddl

import (
	"encoding/json"
	"errors"
	"fmt"
)

// DataSchema is the name of the JSON schema of descriptions of data plugins.
const DataSchema = "https://choria.io/schemas/mcorpc/ddl/v1/data.json"

// Data describes a data plugin, which compound filters and the action rpcutil#get_data ask.
type Data struct {
	Schema   string             `json:"$schema,omitempty"`
	Metadata Metadata           `json:"metadata"`
	Query    *Input             `json:"query"` // nil: the plugin takes no query
	Output   map[string]*Output `json:"output"`
}

// Validate checks the query that a plugin is asked with; given says whether there is one.
func (d *Data) Validate(query string, given bool) error {
	switch {
	case d.Query == nil && given:
		return fmt.Errorf("data plugin %s takes no query", d.Metadata.Name)
	case d.Query == nil:
		return nil
	case !given && !d.Query.Optional:
		return fmt.Errorf("data plugin %s wants a query", d.Metadata.Name)
	case !given:
		return nil
	}
	if reason := d.Query.check(query); reason != "" {
		return fmt.Errorf("query of data plugin %s: %s %s", d.Metadata.Name, shown(query), reason)
	}
	return nil
}

// ParseData reads a JSON description of a data plugin and checks it as [Parse] does.
func ParseData(data []byte) (*Data, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("data description: %d bytes, want at most %d", len(data), maxSize)
	}
	var doc struct {
		Schema   string                     `json:"$schema"`
		Metadata json.RawMessage            `json:"metadata"`
		Query    json.RawMessage            `json:"query"`
		Output   map[string]json.RawMessage `json:"output"`
	}
	if err := into(data, &doc); err != nil {
		return nil, fmt.Errorf("data description: %w", err)
	}
	if absent(doc.Metadata) {
		return nil, ErrNoMetadata
	}
	d := &Data{Schema: doc.Schema, Output: make(map[string]*Output)}
	if err := d.Metadata.parse(doc.Metadata); err != nil {
		return nil, fmt.Errorf("data description: metadata: %w", err)
	}
	if !absent(doc.Query) {
		var err error
		if d.Query, err = parseInput("query", doc.Query); err != nil {
			return nil, fmt.Errorf("data %q: query: %w", d.Metadata.Name, err)
		}
	}
	for _, name := range sortedKeys(doc.Output) {
		out, err := parseOutput(doc.Output[name])
		if err != nil {
			return nil, fmt.Errorf("data %q: output %q: %w", d.Metadata.Name, name, err)
		}
		d.Output[name] = out
	}
	return d, nil
}

// Data returns the descriptions of all data plugins that can be found, sorted by name. As with
// agents built-in ones cannot be overridden, and files that are wrong are told in the error.
func (f *Finder) Data() ([]*Data, error) {
	all := make(map[string]*Data)
	for _, d := range BuiltinData() {
		all[d.Metadata.Name] = d
	}
	last, err := f.last("data")
	errs := []error{err}
	for _, name := range sortedKeys(last) {
		if all[name] != nil {
			continue
		}
		text, err := f.read(last[name], "data")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d, err := ParseData(text)
		if err == nil && d.Metadata.Name != name {
			err = misnamed(name, d.Metadata.Name)
		}
		if err != nil {
			if !errors.Is(err, ErrNoMetadata) {
				errs = append(errs, fmt.Errorf("%s: %w", last[name], err))
			}
			continue
		}
		all[name] = d
	}
	sorted := make([]*Data, 0, len(all))
	for _, name := range sortedKeys(all) {
		sorted = append(sorted, all[name])
	}
	return sorted, errors.Join(errs...)
}
