"""ABOR with urgent data, as ftplib sends it: 426 for the transfer, 226 for the ABOR, and the session lives."""

from connection import check, connect

ftp = connect()
for _ in range(3):
    ftp.voidcmd("TYPE I")
    data = ftp.transfercmd("RETR big")
    data.recv(1000)
    check("answer to the transfer", ftp.abort()[:3], "426")
    check("answer to ABOR", ftp.getresp()[:3], "226")
    data.close()
    check("NOOP", ftp.voidcmd("NOOP")[:3], "200")

data = ftp.transfercmd("STOR never")
data.sendall(b"x" * 100000)
check("answer to the upload", ftp.abort()[:3], "426")
check("answer to ABOR", ftp.getresp()[:3], "226")
data.close()
check("the upload is not there", "never" in ftp.nlst(), False)

check("ABOR with nothing to stop", ftp.abort()[:3], "226")
fetched = []
ftp.retrbinary("RETR small", fetched.append)
check("content of small", b"".join(fetched), b"still here")
ftp.quit()
