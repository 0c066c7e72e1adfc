"""Does the steps that its arguments name, in order; ends with the reply at the first that is refused.

What the harness asks of every client under TLS, by processes of `openssl s_client`: one for the control connection, which
writes its session to a file, and one for each data connection, which reads it. Arguments and environment are those of
`connection.py`; data connections are arranged by EPSV.
Not inside: anything but Python's standard library.
"""

import os
import shutil
import subprocess
import sys
import tempfile

host, port, _, user, password, folder, _ = sys.argv[1:8]
words = sys.argv[8:]
authority = os.environ["INTEROP_TLS_AUTHORITY"]
version = {"1.2": "-tls1_2", "1.3": "-tls1_3"}[os.environ["INTEROP_TLS_VERSION"]]
state = tempfile.mkdtemp(prefix="longshore-s-client-")
session = os.path.join(state, "session")


def start(port, options, **streams):
    """An s_client that trusts one authority and says nothing but what comes from the server."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = ["openssl", "s_client", "-connect", address, "-quiet", version, "-CAfile", authority]
    command += ["-verify_return_error", "-verify_ip", host, *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **streams)


class Refused(Exception):
    pass


class Control:
    def __init__(self):
        is_implicit = os.environ["INTEROP_TLS"] == "implicit"
        options = ["-sess_out", session, *([] if is_implicit else ["-starttls", "ftp"])]
        self.process = start(port, options, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if is_implicit:
            self.expect("220", self.reply())
        for command, code in [(f"USER {user}", "331"), (f"PASS {password}", "230"), ("PBSZ 0", "200"),
                              ("PROT P", "200"), ("TYPE I", "200"), (f"CWD {folder}", "250")]:
            self.expect(code, self.say(command))

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\r\n")
        self.process.stdin.flush()

    def reply(self):
        while True:
            line = self.process.stdout.readline().decode(errors="replace").rstrip()
            if not line:
                raise Refused(f"the control connection ended: {self.process.stderr.read().decode()}")
            if line[:3].isdigit() and line[3:4] in ("", " "):
                return line

    def say(self, command):
        self.send(command)
        return self.reply()

    @staticmethod
    def expect(code, reply):
        if not reply.startswith(code):
            raise Refused(reply)

    def passive_port(self):
        reply = self.say("EPSV")
        self.expect("229", reply)
        return int(reply.split("|")[3])

    def begin(self, command, options=(), **streams):
        """A data connection, once the server has said its mark."""
        resumed = ["-sess_in", session] if os.environ["INTEROP_TLS_RESUMES"] == "yes" else []
        data = start(self.passive_port(), [*resumed, *options], **streams)
        reply = self.say(command)
        if reply[:3] not in ("125", "150"):
            data.kill()
            raise Refused(reply)
        return data

    def end(self, data):
        said = data.stderr.read().decode(errors="replace")
        status = data.wait()
        self.expect("226", self.reply())
        if status != 0:
            raise Refused(f"s_client ended with {status}: {said}")


def put(from_name, to_name, offset=0):
    with open(from_name, "rb") as file:
        os.lseek(file.fileno(), offset, os.SEEK_SET)
        # The end of the file is the end of the connection, and no letter of it is a command.
        data = control.begin(f"STOR {to_name}", ["-no_ign_eof", "-nocommands"], stdin=file, stdout=subprocess.DEVNULL)
        control.end(data)


def resume_put(from_name, to_name):
    reply = control.say(f"SIZE {to_name}")
    control.expect("213", reply)
    control.expect("350", control.say(f"REST {reply[4:]}"))
    put(from_name, to_name, int(reply[4:]))


def get(from_name, to_name, flags=os.O_TRUNC):
    file = os.open(to_name, os.O_WRONLY | os.O_CREAT | flags)
    data = control.begin(f"RETR {from_name}", stdin=subprocess.DEVNULL, stdout=file)
    os.close(file)
    control.end(data)


def resume_get(from_name, to_name):
    control.expect("350", control.say(f"REST {os.path.getsize(to_name)}"))
    get(from_name, to_name, os.O_APPEND)


def list_names(name):
    data = control.begin(f"NLST {name}", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    sys.stdout.write(data.stdout.read().decode())
    control.end(data)


def stop_get(from_name):
    data = control.begin(f"RETR {from_name}", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    data.stdout.read(65536)
    control.send("ABOR")
    data.stdout.read()
    data.wait()
    control.expect("426", control.reply())
    control.expect("226", control.reply())


STEPS = {"put": (2, put), "resume-put": (2, resume_put), "get": (2, get), "resume-get": (2, resume_get),
         "list": (1, list_names), "stop-get": (1, stop_get)}

try:
    control = Control()
    while words:
        count, action = STEPS[words.pop(0)]
        action(*(words.pop(0) for _ in range(count)))
    control.send("QUIT")
    control.process.wait()
except Refused as refusal:
    sys.exit(str(refusal))
finally:
    shutil.rmtree(state)
