"""m365gw: a store-and-forward SMTP gateway to Microsoft 365."""

__version__ = "0.1.0"
