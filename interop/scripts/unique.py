"""STOU: the mark names the file (RFC 1123 section 4.1.2.9), and no two names are equal."""

import io
import os
import re

from connection import check, connect

ftp = connect()
names = set()
for number in range(5):
    ftp.replies.clear()
    ftp.storbinary("STOU", io.BytesIO(b"content %d" % number))
    marks = [reply for reply in ftp.replies if reply[0] == "1"]
    check("marks", len(marks), 1)
    found = re.fullmatch(r"1(25|50) FILE: (.+)", marks[0])
    check(f"form of {marks[0]!r}", bool(found), True)
    name = os.path.basename(found[2])
    fetched = []
    ftp.retrbinary(f"RETR {name}", fetched.append)
    check(f"content of {name}", b"".join(fetched), b"content %d" % number)
    names.add(name)
check("names", len(names), 5)
ftp.quit()
