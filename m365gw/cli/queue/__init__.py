"""The spool inspection tool: `m365gw queue`."""
