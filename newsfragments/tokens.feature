Tokens for programs: `m365gw token add, list, remove`. A token has a role (viewer or operator) and, where wanted, an end; it is kept as a digest, and its last use is shown.
