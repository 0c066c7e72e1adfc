"""Stores, lists, fetches, renames and deletes a file of each name; the first argument is the encoding."""

import io

from connection import arguments, check, connect

encoding, *names = arguments()
names = [name.encode("utf-8", "surrogateescape").decode(encoding) for name in names]
ftp = connect(encoding=encoding)
for name in names:
    content = f"content of {name}".encode(encoding)
    ftp.storbinary(f"STOR {name}", io.BytesIO(content))
    fetched = []
    ftp.retrbinary(f"RETR {name}", fetched.append)
    check(f"content of {name!r}", b"".join(fetched), content)
check("NLST", sorted(ftp.nlst()), sorted(names))
check("MLSD", sorted(name for name, facts in ftp.mlsd() if facts["type"] == "file"), sorted(names))
for name in names:
    ftp.rename(name, "renamed")
    ftp.rename("renamed", name + " again")
check("NLST after the renaming", sorted(ftp.nlst()), sorted(name + " again" for name in names))
for name in names:
    ftp.delete(name + " again")
check("NLST at the end", ftp.nlst(), [])
ftp.quit()
