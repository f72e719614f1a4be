"""Mail coming in: listeners, sessions, who may relay, and the commit before the 250."""
