"""APPE to a file that is there and to one that is not."""

import io

from connection import check, connect

ftp = connect()
ftp.storbinary("APPE file", io.BytesIO(b"second"))
ftp.storbinary("APPE new", io.BytesIO(b"second"))
ftp.voidcmd("TYPE I")
check("SIZE of both", (ftp.size("file"), ftp.size("new")), (12, 6))
ftp.quit()
