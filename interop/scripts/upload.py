"""Sends the named files of the local folder, each with a block size of its own."""

from connection import arguments, check, connect

ftp = connect()
for number, name in enumerate(arguments()):
    with open(name, "rb") as file:
        reply = ftp.storbinary(f"STOR {name}", file, blocksize=[8192, 1, 1000][number % 3] if number < 3 else 65536)
    check(name, reply[:3], "226")
ftp.quit()
