`m365gw import` takes over the mailboxes, sign-ins, logins and networks of simple-m365-relay and microsoft-smtp-oauth2-proxy: devices keep their passwords, and nobody signs in anew.
