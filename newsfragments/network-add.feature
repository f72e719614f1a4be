`m365gw network add` names the command by which a listener comes to trust the network, where none does.
