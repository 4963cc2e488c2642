package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/tidwall/gjson"
)

// flatfile reads a list of names from a file. Options: file, its path or - for standard input;
// format, one of txt json yaml rpc, otherwise known from the suffix, or the first byte of standard
// input; filter, the gjson path of an
// array of names in JSON or YAML.
var flatfile = Method{
	Name:    "flatfile",
	Aliases: []string{"file"},
	Options: []string{"file", "format", "filter"},
	Find:    findInFile,
}

// maxList is how much of a list is read: a million long names.
const maxList = 64 << 20

func findInFile(_ context.Context, env *Env, q Query) ([]string, error) {
	path := q.Options["file"]
	if path == "" {
		return nil, errors.New("no file given: want the option file=PATH or --nodes PATH")
	}
	data, err := readList(env, path)
	if err != nil {
		return nil, err
	}
	format := q.Options["format"]
	switch {
	case format != "":
	case path == "-": // what has no suffix shows itself
		format = sniff(data)
	default:
		format = strings.TrimPrefix(filepath.Ext(path), ".")
	}
	names, err := parseList(data, format, q.Options["filter"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return identities(names, q.Filter)
}

// readList returns the content of the file at path.
func readList(env *Env, path string) ([]byte, error) {
	in := env.Stdin
	if path != "-" {
		f, err := os.Open(expand(path))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	if in == nil {
		return nil, errors.New("standard input: nothing to read")
	}
	data, err := io.ReadAll(io.LimitReader(in, maxList+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxList {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, maxList>>20)
	}
	return data, nil
}

// sniff returns the format of data by how it begins.
func sniff(data []byte) string {
	switch data = bytes.TrimSpace(data); {
	case bytes.HasPrefix(data, []byte("{")):
		return "rpc"
	case bytes.HasPrefix(data, []byte("[")):
		return "json"
	}
	return "txt"
}

// parseList returns the names in data.
func parseList(data []byte, format, path string) ([]string, error) {
	switch strings.ToLower(format) {
	case "json":
		return namesAt(data, path)
	case "yaml", "yml":
		asJSON, err := yaml.YAMLToJSON(data)
		if err != nil {
			return nil, err
		}
		return namesAt(asJSON, path)
	case "rpc", "results", "response", "choriarpc":
		return senders(data)
	}
	if path != "" {
		return nil, errors.New("the option filter needs a JSON or YAML list")
	}
	var names []string
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		name := strings.TrimSpace(line)
		if !ValidName(name) {
			return nil, fmt.Errorf("line %d: %q is no host name", i+1, name)
		}
		names = append(names, name)
	}
	return names, nil
}

// namesAt returns the array of strings at path in a JSON document, empty meaning the document itself.
func namesAt(data []byte, path string) ([]string, error) {
	if !gjson.ValidBytes(data) {
		return nil, errors.New("no valid JSON")
	}
	at := gjson.ParseBytes(data)
	if path != "" {
		at = at.Get(path)
	}
	if !at.IsArray() {
		if path != "" {
			return nil, fmt.Errorf("filter %q: want an array of names there", path)
		}
		return nil, errors.New("want an array of names; the option filter finds one inside a larger document")
	}
	var names []string
	for i, item := range at.Array() {
		if item.Type != gjson.String {
			return nil, fmt.Errorf("item %d: want a name, not %s", i+1, item.Raw)
		}
		names = append(names, item.String())
	}
	return names, nil
}

// senders returns who replied in the JSON result of an earlier request.
func senders(data []byte) ([]string, error) {
	var result struct {
		Replies []struct {
			Sender string `json:"sender"`
		} `json:"replies"`
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return nil, fmt.Errorf("no JSON result of a request: %w", err)
	}
	names := make([]string, 0, len(result.Replies))
	for _, r := range result.Replies {
		names = append(names, r.Sender)
	}
	return names, nil
}

// expand replaces a leading ~ by the home directory.
func expand(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}
