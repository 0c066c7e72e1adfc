"""Does the steps that its arguments name, in order; ends with the reply at the first that is refused.

What the harness asks of every client, by the methods of ftplib; raw commands where it has none.
"""

import calendar
import ftplib
import os
import sys
import time

from connection import arguments, check, connect

FORMAT = "%Y%m%d%H%M%S"


def put(from_name, to_name):
    with open(from_name, "rb") as file:
        ftp.storbinary(f"STOR {to_name}", file)


def put_text(from_name, to_name):
    with open(from_name, "rb") as file:
        ftp.storlines(f"STOR {to_name}", file)


def put_dated(from_name, to_name):
    put(from_name, to_name)
    stamp = time.strftime(FORMAT, time.gmtime(os.path.getmtime(from_name)))
    ftp.voidcmd(f"MFMT {stamp} {to_name}")


def append(from_name, to_name):
    with open(from_name, "rb") as file:
        ftp.storbinary(f"APPE {to_name}", file)


def resume_put(from_name, to_name):
    ftp.voidcmd("TYPE I")
    offset = ftp.size(to_name)
    with open(from_name, "rb") as file:
        file.seek(offset)
        ftp.storbinary(f"STOR {to_name}", file, rest=offset)


def get(from_name, to_name):
    with open(to_name, "wb") as file:
        ftp.retrbinary(f"RETR {from_name}", file.write)


def get_text(from_name, to_name):
    with open(to_name, "w", encoding="utf-8") as file:
        ftp.retrlines(f"RETR {from_name}", lambda line: print(line, file=file))


def get_dated(from_name, to_name):
    get(from_name, to_name)
    stamp = ftp.voidcmd(f"MDTM {from_name}").split()[1]
    seconds = calendar.timegm(time.strptime(stamp, FORMAT))
    os.utime(to_name, (seconds, seconds))


def resume_get(from_name, to_name):
    with open(to_name, "ab") as file:
        ftp.retrbinary(f"RETR {from_name}", file.write, rest=file.tell())


def stop_get(from_name):
    ftp.voidcmd("TYPE I")
    data = ftp.transfercmd(f"RETR {from_name}")
    data.recv(65536)
    check("answer to the transfer", ftp.abort()[:3], "426")
    check("answer to ABOR", ftp.getresp()[:3], "226")
    data.close()


def list_names(folder):
    for name in ftp.nlst(folder):
        print(name)


STEPS = {
    "put": put,
    "put-text": put_text,
    "put-dated": put_dated,
    "append": append,
    "resume-put": resume_put,
    "get": get,
    "get-text": get_text,
    "get-dated": get_dated,
    "resume-get": resume_get,
    "list": list_names,
    "stop-get": stop_get,
    "make-folder": lambda name: ftp.mkd(name),
    "remove-folder": lambda name: ftp.rmd(name),
    "rename": lambda from_name, to_name: ftp.rename(from_name, to_name),
    "delete": lambda name: ftp.delete(name),
}
ONE_NAME = {"list", "stop-get", "make-folder", "remove-folder", "delete"}

try:
    ftp = connect()
    words = arguments()[1:]
    while words:
        step = words.pop(0)
        names = [words.pop(0) for _ in range(1 if step in ONE_NAME else 2)]
        STEPS[step](*names)
    ftp.quit()
except ftplib.Error as refusal:
    sys.exit(str(refusal))
except OSError as broken:
    # A data connection that the server ends says little; what it says on the control connection comes first.
    try:
        ftp.voidresp()
    except ftplib.Error as refusal:
        sys.exit(f"{refusal} ({broken})")
    raise
