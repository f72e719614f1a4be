"""Mail going out: tokens, connections, pace, verdicts, bounces."""
