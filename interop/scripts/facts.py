"""SIZE, MDTM, MFMT and MLST of a file of 12345 bytes from 2001-02-03 04:05:06 UTC."""

from connection import check, check_refused, connect

ftp = connect()
ftp.voidcmd("TYPE I")
check("SIZE", ftp.size("dated"), 12345)
check("MDTM", ftp.voidcmd("MDTM dated"), "213 20010203040506")
facts = ftp.sendcmd("MLST dated").splitlines()[1].strip().lower()
check("MLST", "size=12345;" in facts and "modify=20010203040506;" in facts, True)
check("MFMT", ftp.voidcmd("MFMT 19991231235959 dated")[:3], "213")
check("MDTM afterwards", ftp.voidcmd("MDTM dated"), "213 19991231235959")
ftp.voidcmd("TYPE A")
check_refused("SIZE in TYPE A", "550", lambda: ftp.voidcmd("SIZE dated"))
ftp.quit()
