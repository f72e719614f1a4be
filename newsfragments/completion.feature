`m365gw completion bash|zsh|fish` has a shell complete commands, options, addresses, logins, networks, listeners, keys of settings, queue ids and incidents, names also while the service is stopped.
