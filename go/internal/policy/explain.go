package policy

// An Explanation is a decision and how it came about.
type Explanation struct {
	Decision

	// Steps are the lines that were looked at, in this order. The last one decided when it matches.
	Steps []Step

	// Warnings are what is wrong with lines that were left out.
	Warnings []error
}

// A Step is one line of a policy.
type Step struct {
	Where   string // FILE:LINE
	Allow   bool
	Matches bool
	Why     string // why it does not match
}

// Explain decides as Decide does, and tells about every line that it looked at.
func (p *Policies) Explain(r *Request) Explanation {
	var e Explanation
	e.Decision = p.decide(r, func(l *rule, why mismatch, err error) {
		s := Step{Where: l.where, Allow: l.allow, Matches: why == matches && err == nil, Why: string(why)}
		if err != nil {
			s.Why = err.Error()
		}
		e.Steps = append(e.Steps, s)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, base := range []fileName{{r.Agent, ".policy"}, {p.Default, ".policy"}, {groupsFile, ""}} {
		if f := p.files[base]; f != nil {
			e.Warnings = append(e.Warnings, f.warnings...)
		}
	}
	return e
}
