`m365gw completion bash|zsh|fish` has a shell complete commands, options, addresses, logins and queue ids.
