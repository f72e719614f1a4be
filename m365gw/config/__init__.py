"""Settings: from TOML files and the environment to frozen values, with every error at once."""
