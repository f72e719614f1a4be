Delivery reports in full (RFC 3461, 3464, 6533): failures, delays, and what was passed on when a client asked; summaries instead of a flood (docs/reports.md).
