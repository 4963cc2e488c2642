# make          what can be made
# make demo     a network of five nodes, and a network-wide spec on it
# make test     everything that is tested

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# scripts/setup puts a toolchain here when the machine has none.
export PATH := $(CURDIR)/.go/bin:$(PATH)

VERSION := $(shell sed -n 's/^ *"version": "\(.*\)",/\1/p' metadata.json | head -n 1)
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X choria.io/choria/go/internal/build.Version=$(VERSION) -X choria.io/choria/go/internal/build.Commit=$(COMMIT)

RUNTIME := ruby puppet-agent
PACKAGE := ruby git
REPO    := apt-utils gnupg createrepo-c rpm
USERS   := $(PACKAGE) $(REPO) puppet-agent util-linux iproute2 man-db logrotate openssl
TESTS   := $(RUNTIME) gcc libc6-dev git python3 puppet-lint rubocop ruby-minitest dnf rpm createrepo-c etcd-server chromium chromium-driver \
           prometheus prometheus-alertmanager
PUPPET  := puppet-strings metadata-json-lint ruby-rspec-puppet facterdb \
           puppet-module-puppetlabs-stdlib puppet-module-puppetlabs-apt puppet-module-puppetlabs-concat
PUPPET8 := debootstrap util-linux
SERVERS := puppet-agent puppetserver puppetdb puppet-terminus-puppetdb postgresql puppet-module-puppetlabs-stdlib puppet-module-puppetlabs-apt \
           puppet-module-puppetlabs-concat
HOSTS   := $(PACKAGE) $(REPO) debootstrap util-linux iproute2 python3 ruby-rspec

FUZZTIME ?= 2s

# What publishes to NATS Streaming is a module of its own, for its dependencies.
STAN := go/sinks/stan

.PHONY: help setup build demo package repo forge test test-go test-fuzz test-ruby test-puppet test-playbooks8 test-puppet8 test-rubies test-packages test-packages-full test-puppetserver test-hosts test-hosts-reduced test-full lint bench bench-full clean

help:
	@echo 'make build   choria, mco, choria-server and choria-broker in bin/'
	@echo 'make demo    a network of five nodes, a tour of the commands and a spec of the network'
	@echo 'make package .deb and .rpm for amd64 and arm64, in dist/'
	@echo 'make repo    the same in signed APT and YUM repositories, in dist/repo'
	@echo 'make forge   archives of the Puppet modules for the Forge, in dist/'
	@echo 'make test    all tests and linters'
	@echo 'make bench   what things cost, beside what they may cost'
	@echo 'make bench-full   the same of a network of 48 000 nodes, with adverse conditions'

setup:
	@scripts/setup

build: setup
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./go/cmd/...
	cd $(STAN) && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(CURDIR)/bin/choria-sink-stan .
	@ln -sf choria bin/mco

demo: build
	@scripts/setup $(RUNTIME)
	@scripts/demo

# What users get: docs/releasing.md.
package:
	@scripts/setup $(PACKAGE)
	@scripts/package

repo: package
	@scripts/setup $(REPO)
	@scripts/repo dist/repo dist/choria_$(VERSION)-1_*.deb dist/choria-$(VERSION)-1.*.rpm
	@echo 'dist/repo: apt, yum and the public key release.asc'

forge:
	@scripts/setup $(PACKAGE)
	@scripts/forge

test: lint test-go test-fuzz test-ruby test-puppet test-playbooks8 test-packages test-hosts-reduced

lint:
	@scripts/setup $(TESTS)
	@unformatted=$$(gofmt -l go module.go); if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	go vet ./...
	cd $(STAN) && go vet ./...
	@scripts/lint

test-go: build
	@scripts/setup $(TESTS)
	go test -race -timeout 30m ./...
	cd $(STAN) && go test ./...

# One target at a time, as go test -fuzz wants it.
test-fuzz:
	@scripts/fuzz $(FUZZTIME)

test-ruby:
	@scripts/setup $(TESTS)
	@scripts/test-ruby

test-puppet: build
	@scripts/setup $(TESTS) $(PUPPET)
	@scripts/test-puppet

# Takes root, for throwaway copies of this machine.
test-packages:
	@scripts/setup $(USERS)
	@scripts/test-packages

# What test-go did with playbooks on Puppet 7, once more on Puppet 8 and its Ruby.
test-playbooks8:
	@scripts/setup $(TESTS)
	ruby=$$(scripts/puppet8) && CHORIA_RUBY=$$ruby go test -race -timeout 30m ./go/internal/playbook

# What takes too long for every change.
test-full: test test-puppet8 test-rubies test-packages-full test-puppetserver test-hosts

test-packages-full:
	@scripts/setup $(USERS) dnf rpm zsh fish lintian rpmlint
	@scripts/test-packages --full

# Takes root, for a chroot.
test-puppet8:
	@scripts/setup $(PUPPET8)
	@scripts/test-puppet8

# Takes root, for a chroot.
test-rubies:
	@scripts/setup $(PUPPET8)
	@scripts/test-rubies

# Enrolment at a Puppet Server and its CA, tasks that it has, and discovery in a PuppetDB: both take half a minute to start, and
# 1 GB of memory.
test-puppetserver:
	@scripts/setup $(TESTS) $(SERVERS)
	@scripts/with-puppetserver go test -count=1 -tags puppetserver -run 'Enroll|Puppet(DB|ServerTask)' ./go/internal/cli

# Takes root and namespaces, for booted machines that nothing but Puppet configures; HOSTS_SPECS names some
# specs alone.
test-hosts:
	@scripts/setup $(HOSTS)
	@scripts/test-hosts $(HOSTS_SPECS)

# One such machine, where it can be had.
test-hosts-reduced:
	@scripts/setup $(HOSTS)
	@scripts/test-hosts --reduced

bench: build
	@scripts/setup $(RUNTIME)
	@scripts/bench

# Takes some 12 GB and many minutes; the results are in dist/bench. NODES=10000 is for smaller machines.
NODES ?= 48000
bench-full: build
	@mkdir -p dist/bench
	bin/choria lab bench --nodes $(NODES) --brokers 3 --scenario all --json dist/bench/bench.json --csv dist/bench/bench.csv --plot dist/bench/bench.svg | tee dist/bench/bench.txt

clean:
	rm -rf bin dist report.json
