"""The pages of the console, one file each; `docs/making-pages.md`: how one is made."""
