`m365gw check` tells faults of form (an unknown key) and of meaning (a rule that names no mailbox) at once, without errors that only follow from others.
