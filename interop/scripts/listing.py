"""Lists a folder in every way that ftplib knows; the names must be those given, sorted."""

from connection import arguments, check, connect

folder, *expected = arguments()
expected.sort()
ftp = connect()

check("NLST", sorted(name.rsplit("/", 1)[-1] for name in ftp.nlst(folder)), expected)

lines = []
ftp.dir(folder, lines.append)
check("LIST", sorted(line.split(None, 8)[8] for line in lines), expected)

entries = [(name, facts) for name, facts in ftp.mlsd(folder) if facts["type"] not in ("cdir", "pdir")]
check("MLSD", sorted(name for name, _ in entries), expected)
for name, facts in entries:
    check(f"type of {name}", facts["type"], "dir" if name == "directory" else "file")
    if name.startswith("file-"):
        check(f"size of {name}", facts["size"], name.removeprefix("file-"))
    check(f"time of {name}", len(facts["modify"].split(".")[0]), 14)

only_type = [facts for _, facts in ftp.mlsd(folder, facts=["type"])]
check("facts that were asked for", {fact for facts in only_type for fact in facts}, {"type"})

check("NLST of an empty folder", ftp.nlst("empty"), [])
ftp.quit()
