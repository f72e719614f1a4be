"""The pages of the console, one file each; `docs/console.md`: how one is made."""
