`m365gw check --schema` prints the JSON Schema by which editors complete, explain and check `m365gw.toml`.
