A Helm chart, whose values are checked by a schema: one pod without root and with a read-only root file system, volumes that outlive the release, secrets as files.
