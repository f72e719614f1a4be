"""The console: pages for people, made and sent whole. `docs/console.md`: how one is made."""
