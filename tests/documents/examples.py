"""How the commands of the pages are run: whatever they say that is nobody's, and what is not run.

Write pages with the names of this table and nothing has to be added here: `relay@contoso.com` is a
mailbox that is ready, `printer3` a login (of `scan@contoso.com`) with its password, 10.1.0.0/16 a
network, `4Q7BX2K9M3PDW` a message that waits. Each block begins with all of them, but without what
it adds itself. A folder for each page is where its commands run.
"""

from __future__ import annotations

from attrs import frozen

# What is written, as a pattern, and what is typed for it. Names in braces are values of the scene,
# filled in last, so that no pattern meets what they say.
FILLED = (
    (r"\brunuser -u m365gw -- ", ""),
    (r"\bsudo (?:-u m365gw )?", ""),
    (r" --(?:smtp|https|control)-port \d+", ""),
    (r"\b127\.0\.0\.1:10080\b", "127.0.0.1:{control}"),
    (r"(?<!smtp://)\b(?:relay\.example\.com|localhost):(?:587|25)\b", "127.0.0.1:{submission}"),
    (r"https://relay\.example\.com\b(?::8025)?", "http://127.0.0.1:{web}"),
    (r"\bcontoso\.(?:onmicrosoft\.)?com\b", "contoso.example"),
    (r"\b00000000-0000-0000-0000-000000000000\b", "{app}"),
    (r"\bm365gw_\.\.\.", "{token}"),
    (r"\b4Q7BX2K9M3PDW\b", "{waiting}"),
    (r"\b10\.1\.0\.7\b", "127.0.0.1"),
    (r" tcp:\d+\b", " tcp:0:interface=127.0.0.1"),
    (r"\bm365gw mailbox add\b", "m365gw mailbox add --cloud rehearsal"),
    (r"-o m365gw\b", '-o "$(id -un)"'),
    (r"-g (?:m365gw|3650)\b", '-g "$(id -gn)"'),
    (r"(?<![\w/])/opt/m365gw/bin\b", "{programs}"),
    (r"(?<![\w/])/etc/m365gw\b", "{configuration}"),
    (r"(?<![\w/])/etc/postfix\b", "{page}/srv/postfix/etc/postfix"),
    (r"\bm365gw import\b", "m365gw import --cloud rehearsal"),
    (r"(?<![\w/.}])/(srv|root|usr/local|var/lib|var/spool)/", "{page}/\\g<1>/"),
    (r"\bmake format\b", "make -C {copy} --old-file=.venv/development format"),
)

# Pages whose blocks go on from each other, and begin with a gateway that has nobody set up.
STORIES = frozenset({"docs/rehearsal.md"})

# Pages about a gateway in a folder of its own, walked by a test of their own.
WALKED = {"docs/rehearsal-flows.md": "tests.documents.test_rehearsal_flows.PageTests"}

# Commands that run until the end of their page.
STAYS = r"^(?!docker ).*\bm365gw rehearsal\b"

# What a person types, or does elsewhere, while such a command runs.
TYPED = (
    (r"\bapt-get install (?!.*--yes)", "y\n"),
    (r"m365gw mailbox add alerts@contoso\.com +(?:#|$)", "device\n\n{public_app}\n"),
    (r"m365gw backup (?!.*--passphrase-file)", "a long passphrase\na long passphrase\n"),
    (r"m365gw restore (?!.*--passphrase-file)", "a long passphrase\n"),
    (r"m365gw \w+ (?:remove|passwd .*--remove)\b(?!.*--yes)", "y\n"),
    (r"(?:swaks|curl) .*--(?:auth-)?user printer3", "{password}\n"),
)

# A command that ends otherwise than with 0, because its page tells of that.
ENDS = ((r"--header-from boss@contoso\.com", 1),)

# The programs that are run. Any other fails the test, until it stands here or below.
RUN = frozenset(
    """
    cat cd cp curl date do done echo eval export for grep id install jq ln m365gw make mkdir
    mv openssl printf rm swaks test umask mailq postcat postqueue postsuper qshape sendmail
    """.split()  # noqa: SIM905  a list of quoted words would be harder to read
)


@frozen
class Elsewhere:
    """Commands that are not run here: why, and which tests look at what they would do."""

    pattern: str
    why: str
    tests: tuple[str, ...]


# What changes the machine it is typed on is typed on one of its own (`make machine`): what that is,
# and the blocks it is in, each by its page and a text that no other block of the page has.
OF_A_MACHINE = (
    r"\b(?:apt-get|journalctl|systemctl|useradd|pip install|python3 -m venv)\b|\bmake demo\b"
    r"|^(?:postconf -e|postfix reload|postqueue -f$)"
)
ON_A_MACHINE = {
    "tests.machine.installed": (
        ("README.md", "useradd"),
        ("docs/backup.md", "m365gw backup FILE"),
        ("docs/backup.md", "m365gw restore"),
        ("docs/moving.md", "m365gw listener add handover"),
        ("docs/moving.md", "postconf -e"),
        ("docs/operating.md", "m365gw queue hold"),
        ("docs/operating.md", "systemctl restart"),
        ("docs/rehearsal.md", "m365gw rehearsal"),
        ("docs/rehearsal.md", "cloud.toml"),
        ("docs/rehearsal.md", "m365gw mailbox add"),
        ("docs/rehearsal.md", "swaks"),
    ),
    "tests.machine.tried": (("README.md", "make demo"), ("PACKAGE.md", "pip install")),
}

NOT_RUN = (
    Elsewhere(OF_A_MACHINE, "it changes the machine: `make machine` has one", (*ON_A_MACHINE,)),
    Elsewhere(
        r"\bdocker\b",
        "it needs an engine; `make image` has one, and gives it every line of these pages",
        ("tests.machine.containers.ContainerTests",),
    ),
    Elsewhere(
        r"\b(?:helm|kubectl)\b",
        "no cluster runs here; Helm itself lints and renders the chart, as a library",
        ("tests.test_helm_chart",),
    ),
    Elsewhere(
        r"\bpwsh\b",
        "there is no PowerShell here; the scripts are read by a reader of its grammar",
        ("tests.microsoft.test_setup_script",),
    ),
    Elsewhere(
        r"\.venv/bin/python -m twisted\.trial\b|\bmake test\b",
        "it is what runs here; the module it names is there",
        ("tests.smtp.test_dots",),
    ),
    Elsewhere(
        r"\bmake lint\b",
        "it looks at all of the code, before these tests and not in them",
        ("tests.documents.test_commands.NotRunTests.test_what_is_made_is_made_by_somebody",),
    ),
)

# What `make` makes, and the tests that do it, or less of the same: of a release its wheel, of ten
# minutes of fuzzing and twenty of benchmarks some seconds. Without any: `.ci/run` does it.
MADE: dict[str, tuple[str, ...]] = {
    "bench": ("tests.bench",),
    "demo": ("tests.machine.tried",),
    "docs": (),
    "fuzz": ("tests.fuzz",),
    "image": ("tests.machine.containers",),
    "lint": (),
    "machine": (),
    "release": ("tests.test_packaging",),
    "test": (),
}
