"""Mail at rest. The only room that touches message files. Plain blocking calls, no Twisted."""
