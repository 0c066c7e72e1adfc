"""Fetches the named files into the local folder; `name@offset` goes on from there."""

from connection import arguments, check, connect

ftp = connect()
for argument in arguments():
    name, _, offset = argument.partition("@")
    with open(name, "ab" if offset else "wb") as file:
        reply = ftp.retrbinary(f"RETR {name}", file.write, rest=int(offset) if offset else None)
    check(name, reply[:3], "226")
ftp.quit()
