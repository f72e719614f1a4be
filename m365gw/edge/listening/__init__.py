"""From a port to a session: listeners, PROXY headers, TLS, how many may come in."""
