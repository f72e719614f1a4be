`m365gw explain` asks the running service, so it says what holds now, with the rules made beside the configuration.
