# make demo   see m365gw carry a message, nothing else needed
# make test   install what the tests need, then run them all
# make machine the documented commands that change a machine, on a Debian of their own (as root)
# make lint   types and style
# make fuzz   spoiled dialogues for ten minutes
# make release wheel and source distribution in dist/, with man pages and bill of materials, checked
# make docs   the documentation as a site, in site/
# make image  what the pages say of containers, by a real Docker in a machine of its own (as root)
# make bench  against Debian's Postfix, in the same run

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# What the tests drive, and the Debian package it is in where that has another name.
PEERS := chromium curl haproxy initdb:postgresql msmtp openssl postfix strace swaks \
	systemd-analyze:systemd
export PATH := $(PATH):/usr/sbin:/sbin:$(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))

.PHONY: release docs image demo test machine fuzz lint bench peers rivals format promtool

demo: .venv/runtime
	@$(BIN)/m365gw demo

# The service is started two hundred times: compiled once, also where Python is told not to keep it.
# Three tests at a time, as on two processors one of them waits: for the disk, a client, a time to try.
test: .venv/development peers promtool
	@$(BIN)/python -m compileall -q m365gw tests bench
	$(BIN)/python -m twisted.trial -j3 tests

machine: PEERS := debootstrap
machine: .venv/development peers
	$(BIN)/python -m twisted.trial -j2 tests.machine.installed tests.machine.tried

fuzz: .venv/development
	nice -n 19 $(BIN)/python -m tests.fuzz --seconds 600

lint: .venv/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The same commit gives the same octets: times are those of the commit, owners nobody's.
release: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
release: .venv/development
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-release.txt
	rm -rf build dist man
	$(BIN)/python docs/make_man.py man
	$(BIN)/python -m build
	cd dist && tar xzf *.tar.gz && rm *.tar.gz && for tree in *-*/; do \
		tar --create --sort=name --mtime=@$$SOURCE_DATE_EPOCH --owner=0 --group=0 \
		--numeric-owner --mode=go=rX $$tree | gzip -9n > $${tree%/}.tar.gz && rm -r $$tree; done
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/check-wheel-contents dist/*.whl
	wheel=$$(echo dist/*.whl) && $(BIN)/python docs/make_sbom.py $$wheel $${wheel%%-py3*}.cdx.json

docs: .venv/docs
	$(BIN)/codespell *.md docs newsfragments etc m365gw/cli m365gw/admin/web/templates
	$(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html."

image: PEERS := curl debootstrap swaks
image: .venv/development peers
	$(BIN)/python -m twisted.trial tests.machine.containers

bench: .venv/development peers rivals
	$(BIN)/python -m bench

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "m365gw needs Python 3.11 or newer. On Debian 12 and newer:"; \
		echo "    sudo apt-get install python3 python3-venv"; \
		echo "On Ubuntu 22.04:"; echo "    sudo apt-get install python3.11 python3.11-venv"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing:"; \
		echo "    sudo apt-get install $(notdir $(PYTHON))-venv"; exit 1; }

.venv/runtime: .venv/bin/python requirements.txt setup.cfg pyproject.toml
	@echo "Installing what m365gw needs into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@# compat: twistd looks for its plugins on the path, where a finder hook would not show them
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--config-settings editable_mode=compat -e .
	@touch $@

.venv/development: .venv/runtime requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/docs: .venv/development requirements-docs.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

# OpenSMTPD is only unpacked: Debian lets one mail server be installed. Where that fails the bench
# does without, and says so.
rivals:
	@test -x .venv/opensmtpd/usr/sbin/smtpd && exit 0; \
	mkdir -p .venv/packages && cd .venv/packages && apt-get download --quiet=2 opensmtpd; \
	apt-get download --quiet=2 libevent-2.1-7 || apt-get download --quiet=2 libevent-2.1-7t64; \
	for package in *.deb; do dpkg -x "$$package" ../opensmtpd; done || true

# Up to Debian 13 it comes with Prometheus, which Debian starts when it is installed: it is only
# unpacked.
promtool:
	@command -v promtool >/dev/null 2>&1 || test -x .venv/prometheus/usr/bin/promtool || { \
	mkdir -p .venv/packages/prometheus && cd .venv/packages/prometheus && \
	{ apt-get download --quiet=2 promtool 2>/dev/null || apt-get download --quiet=2 prometheus; } && \
	dpkg -x prom*.deb ../../prometheus; }

# The real peers of the whole-service tests. As root on Debian or Ubuntu they are installed here.
# Postfix is installed without a configuration, so that no mail server is started.
peers:
	@missing=""; for tool in $(PEERS); do \
		command -v $${tool%:*} >/dev/null 2>&1 || missing="$$missing $${tool#*:}"; done; \
	test -z "$$missing" && exit 0; \
	line="apt-get install --yes --no-install-recommends$$missing libnet-ssleay-perl"; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
		echo "The tests need these programs:$$missing"; \
		echo "    echo 'postfix postfix/main_mailer_type select No configuration' | sudo debconf-set-selections"; \
		echo "    sudo $$line"; exit 1; fi; \
	echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update --quiet=2 && $$line
