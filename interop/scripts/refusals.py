"""A wrong password says 530 and nothing of what was wrong; files that are not there say 550."""

import sys

from connection import Connection, check, check_refused, connect

host, port, _, user, password, _ = sys.argv[1:7]
texts = set()
for name, word in [(user, "not-the-password"), ("nobody-of-this-name", password)]:
    connection = Connection()
    connection.connect(host, int(port))
    texts.add(check_refused(f"login of {name}", "530", lambda: connection.login(name, word)))
    connection.close()
check("texts for a wrong name and a wrong password", len(texts), 1)

ftp = connect()
check_refused("RETR", "550", lambda: ftp.retrbinary("RETR nowhere", lambda _: None))
check_refused("DELE", "550", lambda: ftp.delete("nowhere"))
check_refused("RNFR", "550", lambda: ftp.rename("nowhere", "elsewhere"))
check_refused("SIZE", "550", lambda: ftp.size("nowhere"))
check_refused("a command that does not exist", "500", lambda: ftp.voidcmd("FROBNICATE"))
check_refused("RNTO without RNFR", "503", lambda: ftp.voidcmd("RNTO x"))
ftp.quit()
