"""`m365gw import`: what another program has is taken over."""
