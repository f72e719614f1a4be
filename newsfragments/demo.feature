`m365gw demo` shows a message travel from an SMTP client to a rehearsal Microsoft 365 on one machine; `m365gw rehearsal` runs that pretend Microsoft alone, with its limits and errors.
