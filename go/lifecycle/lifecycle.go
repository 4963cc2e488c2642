// Package lifecycle makes and reads the events by which nodes say that they start, live and stop.
//
// Events are published on choria.lifecycle.event.<type>.<component>, as CloudEvents 1.0 or, for old
// receivers, bare. They are not signed: whoever may publish on these subjects may say anything.
package lifecycle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"
)

// A Type says what happened.
type Type string

// The types of events.
const (
	Startup     Type = "startup"     // a process is ready
	Shutdown    Type = "shutdown"    // a process ends in good order
	Alive       Type = "alive"       // a process still runs; nodes say so each 30 min
	Provisioned Type = "provisioned" // a node got its configuration
	Upgraded    Type = "upgraded"    // a node replaced its program
	Governor    Type = "governor"    // a process took or left a slot of a governor
)

// types are all of them.
var types = [...]Type{Startup, Shutdown, Alive, Provisioned, Upgraded, Governor}

// A GovernorEvent says what happened at a governor.
type GovernorEvent string

// What happens at governors.
const (
	Enter    GovernorEvent = "enter"
	Exit     GovernorEvent = "exit"
	Timeout  GovernorEvent = "timeouts"
	Eviction GovernorEvent = "eviction"
)

// Server is the component of node daemons. Other programs have names of their own.
const Server = "server"

// Subjects is what all events match, for those who listen to them.
const Subjects = "choria.lifecycle.event.>"

// MaxSize is the most bytes that Decode reads. Events of real peers have some 400.
const MaxSize = 64 << 10

// maxTime is the last second that RFC 3339 can write.
const maxTime = 253402300799

// An Event is one thing that happened to one process.
type Event struct {
	Type      Type
	ID        string // a UUID
	Identity  string // of the node
	Component string // what kind of program; a word without dots and spaces
	Time      time.Time

	Version    string // of the program: startup, alive and, the old one, upgraded
	NewVersion string // upgraded

	Governor      string // its name: governor
	Sequence      uint64 // of the slot: governor
	GovernorEvent GovernorEvent
}

// New returns an event of now with an id of its own.
func New(t Type, identity, component string) Event {
	return Event{
		Type: t, ID: uuid.Must(uuid.NewV4()).String(), // fails only where there is no randomness at all
		Identity: identity, Component: component, Time: time.Now().UTC().Truncate(time.Second),
	}
}

// Subject returns the subject that e is published on.
func Subject(e Event) string {
	return "choria.lifecycle.event." + string(e.Type) + "." + e.Component
}

// A body is an event as it is written. Members of other types are left out.
// Source: protocol section 15.1.
type body struct {
	Protocol  string `json:"protocol"`
	ID        string `json:"id"`
	Identity  string `json:"identity"`
	Component string `json:"component"`
	Timestamp int64  `json:"timestamp"` // seconds from 1970 UTC

	Version       string        `json:"version,omitempty"`
	NewVersion    string        `json:"new_version,omitempty"`
	Governor      string        `json:"governor,omitempty"`
	Sequence      uint64        `json:"sequence,omitempty"`
	GovernorEvent GovernorEvent `json:"event_type,omitempty"`
}

// A cloudEvent is the envelope of a body.
// Source: https://github.com/cloudevents/spec/blob/v1.0/json-format.md
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject"`
	ContentType string          `json:"datacontenttype"`
	Time        string          `json:"time"`
	Data        json.RawMessage `json:"data"`
}

const (
	source       = "io.choria.lifecycle"
	prefix       = "io.choria.lifecycle.v1."
	prefixOf2018 = "choria:lifecycle:" // and :1 behind
)

// Encode returns e as a CloudEvents document.
func Encode(e Event) ([]byte, error) {
	data, err := EncodeBare(e)
	if err != nil {
		return nil, err
	}
	return marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: source, Type: prefix + string(e.Type), Subject: e.Identity,
		ContentType: "application/json", Time: e.Time.UTC().Format(time.RFC3339), Data: data,
	})
}

// EncodeBare returns e without an envelope, as plugin.choria.legacy_lifecycle_format wants it.
func EncodeBare(e Event) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("lifecycle event: %w", err)
	}
	b := body{
		Protocol: prefix + string(e.Type), ID: e.ID, Identity: e.Identity, Component: e.Component, Timestamp: e.Time.Unix(),
	}
	switch e.Type {
	case Startup, Alive:
		b.Version = e.Version
	case Upgraded:
		b.Version, b.NewVersion = e.Version, e.NewVersion
	case Governor:
		b.Governor, b.Sequence, b.GovernorEvent = e.Governor, e.Sequence, e.GovernorEvent
	}
	return marshal(b)
}

// marshal encodes without escaping < and >, as peers do not.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("lifecycle event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Decode reads an event in either form, with the protocol names of 2018 too.
func Decode(data []byte) (Event, error) {
	e, err := decode(data)
	if err != nil {
		return Event{}, fmt.Errorf("lifecycle event: %w", err)
	}
	return e, nil
}

func decode(data []byte) (Event, error) {
	if len(data) > MaxSize {
		return Event{}, fmt.Errorf("%d bytes, want at most %d", len(data), MaxSize)
	}
	var envelope struct {
		cloudEvent
		Protocol string `json:"protocol"`
	}
	if err := json.Unmarshal(data, &envelope); err != nil {
		return Event{}, err
	}
	if envelope.Protocol == "" && envelope.SpecVersion != "" {
		switch {
		case envelope.SpecVersion != "1.0":
			return Event{}, fmt.Errorf("CloudEvents version %q, want 1.0", envelope.SpecVersion)
		case envelope.Source != source:
			return Event{}, fmt.Errorf("source %q, want %s", envelope.Source, source)
		}
		data = envelope.Data
	}
	var b body
	if len(data) == 0 {
		return Event{}, errors.New("no data")
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return Event{}, err
	}
	t, err := typeOf(b.Protocol)
	if err != nil {
		return Event{}, err
	}
	if envelope.Type != "" && envelope.Protocol == "" {
		if outer, err := typeOf(envelope.Type); err != nil || outer != t {
			return Event{}, fmt.Errorf("type %q around protocol %q", envelope.Type, b.Protocol)
		}
	}
	e := Event{
		Type: t, ID: b.ID, Identity: b.Identity, Component: b.Component, Time: time.Unix(b.Timestamp, 0).UTC(),
		Version: b.Version, NewVersion: b.NewVersion,
		Governor: b.Governor, Sequence: b.Sequence, GovernorEvent: b.GovernorEvent,
	}
	return e, e.check()
}

// typeOf returns the type that a protocol name is of.
func typeOf(protocol string) (Type, error) {
	name, ok := strings.CutPrefix(protocol, prefix)
	if !ok {
		if name, ok = strings.CutPrefix(protocol, prefixOf2018); ok {
			name, ok = strings.CutSuffix(name, ":1")
		}
	}
	if ok {
		for _, t := range types {
			if string(t) == name {
				return t, nil
			}
		}
	}
	return "", fmt.Errorf("unknown protocol %q", protocol)
}

// check reports what makes e no event, or one that has no subject.
func (e *Event) check() error {
	if _, err := typeOf(prefix + string(e.Type)); err != nil {
		return fmt.Errorf("unknown type %q", e.Type)
	}
	switch {
	case e.ID == "":
		return errors.New("no id")
	case e.Identity == "":
		return errors.New("no identity")
	case e.Component == "" || strings.ContainsAny(e.Component, ".*> \t\r\n\x00"):
		return fmt.Errorf("component %q: want a word without dots, spaces and wildcards", e.Component)
	}
	if s := e.Time.Unix(); s < 0 || s > maxTime {
		return fmt.Errorf("time %d is out of range", s)
	}
	if e.Type == Governor {
		if e.Governor == "" {
			return errors.New("no governor")
		}
		switch e.GovernorEvent {
		case Enter, Exit, Timeout, Eviction:
		default:
			return fmt.Errorf("unknown governor event %q", e.GovernorEvent)
		}
	}
	return nil
}
