"""What somebody without an account may do: read and list, nothing else; every refusal says why."""

import io

from connection import check, check_refused, connect

ftp = connect()
fetched = []
ftp.retrbinary("RETR public", fetched.append)
check("content of public", b"".join(fetched), b"for all")
check("NLST", ftp.nlst(), ["public"])
check_refused("STOR", "553", lambda: ftp.storbinary("STOR intruder", io.BytesIO(b"x")))
check_refused("APPE", "553", lambda: ftp.storbinary("APPE public", io.BytesIO(b"x")))
check_refused("DELE", "550", lambda: ftp.delete("public"))
check_refused("MKD", "550", lambda: ftp.mkd("made"))
check_refused("RMD", "550", lambda: ftp.rmd("."))
check_refused("RNFR", "550", lambda: ftp.rename("public", "private"))
check("NLST at the end", ftp.nlst(), ["public"])
ftp.quit()
