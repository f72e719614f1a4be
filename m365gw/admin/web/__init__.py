"""The console: pages for people, made and sent whole. `docs/making-pages.md`: how one is made."""
