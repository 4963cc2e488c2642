package agents

import (
	"context"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// maxDigest is the size of the largest file that fstat reads for its digest, in bytes. Whoever may send
// a request can ask for it in a filter, before any policy is asked.
const maxDigest = 64 << 20

// Fstat returns the data plugin fstat, which tells what filemgr#status tells, and ages.
func Fstat() *agent.DataPlugin {
	return &agent.DataPlugin{DDL: ddl.BuiltinDataPlugin("fstat"), Ask: fstat}
}

func fstat(ctx context.Context, path string) (map[string]any, error) {
	s, err := statFile(path)
	if err != nil {
		return nil, err
	}
	var sum any = ""
	if s.Type == "file" && s.Size <= maxDigest {
		if sum, err = fileMD5(ctx, path); err != nil {
			return nil, err
		}
	}
	age := func(seconds int64) int64 {
		if s.Present == 0 {
			return 0
		}
		return time.Now().Unix() - seconds
	}
	return map[string]any{
		"name":          s.Name,
		"output":        s.Output,
		"present":       s.Present,
		"size":          s.Size,
		"mode":          s.Mode,
		"md5":           sum,
		"mtime":         s.Mtime,
		"ctime":         s.Ctime,
		"atime":         s.Atime,
		"mtime_seconds": s.MtimeSeconds,
		"ctime_seconds": s.CtimeSeconds,
		"atime_seconds": s.AtimeSeconds,
		"mtime_age":     age(s.MtimeSeconds),
		"ctime_age":     age(s.CtimeSeconds),
		"atime_age":     age(s.AtimeSeconds),
		"uid":           s.UID,
		"gid":           s.GID,
		"type":          s.Type,
	}, nil
}
