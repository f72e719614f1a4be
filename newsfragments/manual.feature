Manual pages for every command and for m365gw.toml; `make release` builds and checks what is released.
