"""Makes, names, enters and removes directories, one of them with quotes in its name."""

from connection import check, check_refused, connect

ftp = connect()
home = ftp.pwd()
for name in ["plain", "with space", 'with "quotes"', "\u00fcml\u00e4ut"]:
    made = ftp.mkd(name)
    check(f"MKD {name}", made.rsplit("/", 1)[-1], name)
    ftp.cwd(name)
    check(f"PWD in {name}", ftp.pwd(), f"{home}/{name}")
    ftp.cwd("..")
    check("PWD above", ftp.pwd(), home)
check_refused("MKD of one that is there", "550", lambda: ftp.mkd("plain"))
ftp.mkd("plain/inner")
check_refused("RMD of one that is not empty", "550", lambda: ftp.rmd("plain"))
ftp.rmd("plain/inner")
for name in ["plain", "with space", 'with "quotes"', "\u00fcml\u00e4ut"]:
    ftp.rmd(name)
check("NLST at the end", ftp.nlst(), [])
check_refused("RMD of one that is gone", "550", lambda: ftp.rmd("plain"))
check_refused("CWD to one that is gone", "550", lambda: ftp.cwd("plain"))
ftp.quit()
