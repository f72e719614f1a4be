"""The PowerShell script that sets a tenant up for the gateway, and the one that undoes it."""
