"""What every script here shares: the arguments, a connection that remembers the replies, small checks.

Arguments: host port passive|active user password folder, then those of the script.
Not inside: anything but Python's standard library.
"""

import ftplib
import sys

TIMEOUT_SECONDS = 30


class Connection(ftplib.FTP):
    """An FTP that keeps every reply in `replies`, marks included, which ftplib itself swallows."""

    def __init__(self, encoding="utf-8"):
        self.replies = []
        super().__init__(timeout=TIMEOUT_SECONDS, encoding=encoding)

    def getmultiline(self):
        reply = super().getmultiline()
        self.replies.append(reply)
        return reply


def arguments():
    """The script's own arguments."""
    return sys.argv[7:]


def connect(encoding="utf-8"):
    """A connection that is logged in and stands in the folder of the test."""
    host, port, mode, user, password, folder = sys.argv[1:7]
    connection = Connection(encoding=encoding)
    connection.connect(host, int(port))
    connection.login(user, password)
    connection.set_pasv(mode == "passive")
    connection.cwd(folder)
    return connection


def check(what, actual, expected):
    """Ends the script when two values differ."""
    if actual != expected:
        sys.exit(f"{what}: {actual!r}, expected {expected!r}")


def check_refused(what, code, action):
    """Ends the script when `action` is not refused with a permanent error of this code."""
    try:
        action()
    except ftplib.error_perm as refusal:
        check(what, str(refusal)[:3], code)
        if len(str(refusal)) < 10:
            sys.exit(f"{what}: the refusal says nothing: {refusal}")
        return str(refusal)
    sys.exit(f"{what}: was not refused")
