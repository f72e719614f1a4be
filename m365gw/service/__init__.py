"""The service that twistd runs. The one room that knows every other."""
