Listeners and single settings can be made beside the configuration file, by `m365gw listener` and
`m365gw settings`; `settings list` tells where each value was said. Another hostname applies without a
restart.
