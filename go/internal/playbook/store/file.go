package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/internal/playbook/props"
)

// maxFile is how large a file may be, in bytes: it is read as a whole for each item.
const maxFile = 16 << 20

// file is the store whose items are the members of the mapping that a YAML or JSON file holds. Names are
// plain: dots in them have no meaning. A write rewrites the file, which loses the comments of YAML.
type file struct {
	path   string
	json   bool
	create bool
}

func newFile(_ *Env, p *props.Props) Store {
	f := &file{path: p.Path("file"), create: p.Bool("create", false)}
	f.json = p.Choice("format", "yaml", "yaml", "json") == "json"
	return f
}

// fault names the file in err, unless it does so itself.
func (f *file) fault(err error) error {
	var path *fs.PathError
	if err == nil || errors.As(err, &path) {
		return err
	}
	return fmt.Errorf("file %s: %w", f.path, err)
}

func (f *file) Read(_ context.Context, item string) (any, error) {
	items, _, err := f.load()
	if err != nil {
		return nil, f.fault(err)
	}
	i := items.find(item)
	if i < 0 {
		return nil, f.fault(ErrMissing)
	}
	return plain(items[i].Value)
}

func (f *file) Write(ctx context.Context, item string, value any) error {
	native, err := native(value)
	if err != nil {
		return err
	}
	return f.change(ctx, func(items mapping) mapping {
		if i := items.find(item); i >= 0 {
			items[i].Value = native
			return items
		}
		return append(items, yaml.MapItem{Key: item, Value: native})
	})
}

func (f *file) Delete(ctx context.Context, item string) error {
	return f.change(ctx, func(items mapping) mapping {
		if i := items.find(item); i >= 0 {
			return slices.Delete(items, i, i+1)
		}
		return items
	})
}

// A mapping is the content of a file, in its order.
type mapping yaml.MapSlice

func (m mapping) find(item string) int {
	return slices.IndexFunc(m, func(i yaml.MapItem) bool { return fmt.Sprint(i.Key) == item })
}

// load reads the file. A file that is to be created and does not exist is created.
func (f *file) load() (mapping, fs.FileMode, error) {
	st, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) && f.create {
		var created *os.File
		if created, err = os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			return nil, 0o600, created.Close()
		}
	}
	if err != nil {
		return nil, 0, err
	}
	if st.Size() > maxFile {
		return nil, 0, fmt.Errorf("larger than %d bytes", maxFile)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, 0, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, st.Mode().Perm(), nil
	}
	if f.json && !json.Valid(data) {
		return nil, 0, errors.New("is not JSON")
	}
	var content any
	if err := yaml.UnmarshalWithOptions(data, &content, yaml.UseOrderedMap()); err != nil {
		return nil, 0, fmt.Errorf("is not YAML: %s", yaml.FormatError(err, false, false))
	}
	switch content := content.(type) {
	case nil:
		return nil, st.Mode().Perm(), nil
	case yaml.MapSlice:
		return mapping(content), st.Mode().Perm(), nil
	}
	return nil, 0, errors.New("holds no mapping")
}

// change rewrites the file by way of a temporary one, while nobody else does.
func (f *file) change(ctx context.Context, edit func(mapping) mapping) error {
	if f.create { // there must be something to lock
		if _, _, err := f.load(); err != nil {
			return f.fault(err)
		}
	}
	path, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return f.fault(err)
	}
	unlock, err := lockFile(ctx, path)
	if err != nil {
		return f.fault(err)
	}
	defer unlock()
	items, mode, err := f.load()
	if err != nil {
		return f.fault(err)
	}
	data, err := f.encode(edit(items))
	if err != nil {
		return f.fault(err)
	}
	return f.fault(WriteFile(path, data, mode))
}

func (f *file) encode(items mapping) ([]byte, error) {
	if !f.json {
		return yaml.Marshal(yaml.MapSlice(items))
	}
	value, err := plain(yaml.MapSlice(items))
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(value, "", "  ")
	return append(data, '\n'), err
}

// WriteFile replaces a file as a whole: whoever reads it sees the old or the new content.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // does nothing once renamed
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// plain turns what YAML gave into what JSON can hold.
func plain(value any) (any, error) {
	switch value := value.(type) {
	case yaml.MapSlice:
		m := make(map[string]any, len(value))
		for _, item := range value {
			v, err := plain(item.Value)
			if err != nil {
				return nil, err
			}
			m[fmt.Sprint(item.Key)] = v
		}
		return m, nil
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			v, err := plain(item)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	}
	if _, err := json.Marshal(value); err != nil {
		return nil, fmt.Errorf("a value cannot be passed on: %w", err) // .inf, .nan
	}
	return value, nil
}

// native turns decoded JSON into what YAML writes well: numbers that are no text.
func native(value any) (any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var v any
	err = yaml.UnmarshalWithOptions(data, &v, yaml.UseOrderedMap()) // JSON is YAML
	return v, err
}
