"""Goes on with an upload where SIZE says, with REST and STOR or with APPE."""

import os

from connection import arguments, check, connect

name, how = arguments()
ftp = connect()
ftp.voidcmd("TYPE I")
offset = ftp.size(name)
with open(name, "rb") as file:
    file.seek(offset)
    if how == "rest":
        reply = ftp.storbinary(f"STOR {name}", file, rest=offset)
    else:
        reply = ftp.storbinary(f"APPE {name}", file)
check(name, reply[:3], "226")
check("SIZE afterwards", ftp.size(name), os.path.getsize(name))
ftp.quit()
