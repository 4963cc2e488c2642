package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A fileContent is the plugin file_content: a file of the node, facts say.
// Source: protocol section 14.
type fileContent struct {
	path     string
	compress bool

	published time.Time // when the file that was published last was changed
}

// fileBody is the body of a registration. Its members stand in the order of the peer.
type fileBody struct {
	MTime    int64  `json:"mtime"` // Unix seconds
	File     string `json:"file"`
	Updated  bool   `json:"updated"` // since it was published last
	Protocol string `json:"protocol"`
	content
}

// collect returns the body. A file that is missing or empty says nothing.
func (f *fileContent) collect() (body []byte, size int, published func(), err error) {
	// The time comes first: a change in between is seen at the next look.
	info, err := os.Stat(f.path)
	var data []byte
	if err == nil {
		data, err = readBounded(f.path)
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil, 0, nil, nil
	}
	if err != nil {
		return nil, 0, nil, fmt.Errorf("%s: %w", f.path, err)
	}
	mtime := info.ModTime()
	c := content{Content: data}
	if f.compress {
		c.Content = nil
		if c.ZContent, err = squeeze(data); err != nil {
			return nil, 0, nil, err
		}
	}
	body, err = json.Marshal(fileBody{
		MTime: mtime.Unix(), File: f.path, Updated: !f.published.IsZero() && mtime.After(f.published),
		Protocol: "choria:registration:filecontent:1", content: c,
	})
	return body, len(data), func() { f.published = mtime }, err
}
