Incidents are opened once, closed once, and told by signed webhooks or by mail through a mailbox that works: what happened, what it means, what to do, who must do it (docs/incidents.md).
