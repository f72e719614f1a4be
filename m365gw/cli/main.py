"""The `m365gw` command.

Sub-commands are imported when they are asked for, so that `m365gw queue list` does not wait for
the libraries of the service. Exit codes: 0 ok, 1 problems found, 2 usage, and sysexits where they
mean something (78: the configuration is wrong).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from attrs import define

from m365gw import __version__

COMMANDS = {
    "backup": ("m365gw.cli.backup", "Write all but the mail into one sealed file."),
    "check": ("m365gw.cli.check", "Read the configuration and show every error."),
    "client": ("m365gw.cli.accounts.clients", "SMTP logins for printers and programs."),
    "completion": ("m365gw.cli.completion", "Print what completes commands in your shell."),
    "explain": ("m365gw.cli.explain", "Say what would happen to a message, and why."),
    "demo": ("m365gw.cli.demo", "See the gateway carry a message; no tenant needed."),
    "doctor": ("m365gw.cli.doctor", "Find out what is wrong, and who has to do what."),
    "drain": ("m365gw.cli.drain", "Take no more mail, send what is due, stop the service."),
    "healthcheck": ("m365gw.cli.healthcheck", "Exit with 0 when the service can take mail."),
    "incident": ("m365gw.cli.incident", "What somebody has to know; who is told of it."),
    "keys": ("m365gw.cli.keys", "The keys that seal stored secrets."),
    "listener": ("m365gw.cli.accounts.listeners", "Where mail comes in."),
    "mailbox": ("m365gw.cli.accounts.mailboxes", "Microsoft 365 mailboxes and their sign-in."),
    "network": ("m365gw.cli.accounts.networks", "Networks that may send without a login."),
    "operator": ("m365gw.cli.operator", "Who may sign in to the console."),
    "queue": ("m365gw.cli.queue.commands", "Look at the queue and act on it."),
    "rehearsal": ("m365gw.cli.rehearsal", "A pretend Microsoft 365 to rehearse against."),
    "reload": ("m365gw.cli.reload", "Have the service read its configuration anew."),
    "restore": ("m365gw.cli.restore", "Put back what m365gw backup wrote."),
    "script": ("m365gw.cli.script", "The PowerShell that sets the tenant up."),
    "send-test": ("m365gw.cli.send_test", "Send a test mail and follow it to Microsoft."),
    "settings": (
        "m365gw.cli.accounts.single_settings",
        "Single settings, and where they were said.",
    ),
    "status": ("m365gw.cli.status", "Show what runs, what waits, and what is held."),
    "token": ("m365gw.cli.token", "By which programs use the API over the web."),
