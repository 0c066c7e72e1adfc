"""Text both ways: on the wire line ends are CR LF in TYPE A, and the files of this server have LF."""

import io

from connection import check, connect

ftp = connect()
lines = []
ftp.retrlines("RETR unix", lines.append)
check("lines", lines, ["one", "two", "", "no end"])

ftp.voidcmd("TYPE A")
data = ftp.transfercmd("RETR unix")
wire = b""
while block := data.recv(8192):
    wire += block
data.close()
ftp.voidresp()
check("the wire", wire, b"one\r\ntwo\r\n\r\nno end")

ftp.storlines("STOR up", io.BytesIO(b"eins\nzwei\r\ndrei"))
fetched = []
ftp.retrbinary("RETR up", fetched.append)
check("what was stored", b"".join(fetched), b"eins\nzwei\ndrei\n")
ftp.quit()
