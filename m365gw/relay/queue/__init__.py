"""Which message goes when, and what an operator does to those that wait."""
