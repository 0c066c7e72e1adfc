"""Moves a file slowly until it is killed: `upload` or `download`, then the name."""

import time

from connection import arguments, connect

what, name = arguments()
ftp = connect()
ftp.voidcmd("TYPE I")
BLOCK = 65536
PAUSE_SECONDS = 0.01
if what == "upload":
    data = ftp.transfercmd(f"STOR {name}")
    with open(name, "rb") as file:
        while block := file.read(BLOCK):
            data.sendall(block)
            time.sleep(PAUSE_SECONDS)
else:
    data = ftp.transfercmd(f"RETR {name}")
    with open(name, "wb", buffering=0) as file:
        while block := data.recv(BLOCK):
            file.write(block)
            time.sleep(PAUSE_SECONDS)
raise SystemExit("it ended before it was killed")
