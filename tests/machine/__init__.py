"""The documented commands that change a machine, run on one: Debian with systemd (`make machine`).

Those about Docker are given to a real one there (`make image`). Not found by `make test`, as they
need root, namespaces and the package index.
"""
