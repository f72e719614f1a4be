`m365gw send-test` sends a real test mail through the running service and follows it to Microsoft's answer, or to the diagnosis with what to do.
