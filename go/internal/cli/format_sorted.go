package cli

import (
	"slices"
	"strings"

	"choria.io/choria/go/client"
)

// sortedFormat keeps the replies until all are there, and shows them sorted by sender.
type sortedFormat struct {
	format
	replies []client.Reply
}

func (f *sortedFormat) reply(r client.Reply) error {
	f.replies = append(f.replies, r)
	return nil
}

func (f *sortedFormat) end() error {
	slices.SortFunc(f.replies, func(a, b client.Reply) int { return strings.Compare(a.Sender, b.Sender) })
	for _, r := range f.replies {
		if err := f.format.reply(r); err != nil {
			return err
		}
	}
	return f.format.end()
}
