docs/rehearsal.md leads an installed gateway to the pretend Microsoft 365, so that all can be tried before there is a tenant.
