The console shows the log as it is written, with filters, and the protocol live on a page of its own;
what is taken along of the log has no addresses and names in it.
