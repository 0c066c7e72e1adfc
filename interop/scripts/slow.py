"""Moves half of a file and then waits to be killed: `upload` or `download`, then the name."""

import os
import signal

from connection import arguments, connect

what, name = arguments()
ftp = connect()
ftp.voidcmd("TYPE I")
BLOCK = 65536
moved = 0
if what == "upload":
    half = os.path.getsize(name) // 2
    data = ftp.transfercmd(f"STOR {name}")
    with open(name, "rb") as file:
        while moved < half:
            block = file.read(BLOCK)
            data.sendall(block)
            moved += len(block)
else:
    half = ftp.size(name) // 2
    data = ftp.transfercmd(f"RETR {name}")
    with open(name, "wb", buffering=0) as file:
        while moved < half:
            block = data.recv(BLOCK)
            file.write(block)
            moved += len(block)
signal.pause()
