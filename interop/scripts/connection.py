"""What every script here shares: the arguments, a connection that remembers the replies, small checks.

Arguments: host port passive|active user password folder, then those of the script. Whether the connection is under
TLS, and how, stands in the environment: INTEROP_TLS (explicit or implicit; clear without it), INTEROP_TLS_VERSION
(1.2 or 1.3), INTEROP_TLS_RESUMES (yes or no) and INTEROP_TLS_AUTHORITY (a file).
Not inside: anything but Python's standard library.
"""

import ftplib
import os
import socket
import ssl
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


class SecureConnection(ftplib.FTP_TLS):
    """A connection under TLS. By itself ftplib neither begins with TLS nor resumes sessions."""

    def __init__(self, encoding="utf-8"):
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[os.environ["INTEROP_TLS_VERSION"]]
        context = ssl.create_default_context(cafile=os.environ["INTEROP_TLS_AUTHORITY"])
        context.minimum_version = context.maximum_version = version
        self.is_implicit = os.environ["INTEROP_TLS"] == "implicit"
        self.resumes = os.environ["INTEROP_TLS_RESUMES"] == "yes"
        super().__init__(context=context, timeout=TIMEOUT_SECONDS, encoding=encoding)

    def connect(self, host, port):
        if not self.is_implicit:
            return super().connect(host, port)
        self.host, self.port = host, port
        connection = socket.create_connection((host, port), self.timeout)
        self.af = connection.family
        self.sock = self.context.wrap_socket(connection, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, command, rest=None):
        if not self.resumes:
            return super().ntransfercmd(command, rest)
        connection, size = ftplib.FTP.ntransfercmd(self, command, rest)
        session = self.sock.session
        connection = self.context.wrap_socket(connection, server_hostname=self.host, session=session)
        check("whether the session was resumed", connection.session_reused, True)
        return connection, size


def arguments():
    """The script's own arguments."""
    return sys.argv[7:]


def connect(encoding="utf-8"):
    """A connection that is logged in and stands in the folder of the test."""
    host, port, mode, user, password, folder = sys.argv[1:7]
    is_secure = "INTEROP_TLS" in os.environ
    connection = SecureConnection(encoding=encoding) if is_secure else Connection(encoding=encoding)
    connection.connect(host, int(port))
    connection.login(user, password)
    if is_secure:
        connection.prot_p()
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
