package cli

// IsReply reports whether a message of a stream is the reply to a request, and of whom.
func IsReply(data []byte) (request, sender string, ok bool) {
	r, ok := parseReply(data)
	return r.Request, r.Sender, ok
}
