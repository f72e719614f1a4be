"""The m365gw command: everything that is not the service itself."""
