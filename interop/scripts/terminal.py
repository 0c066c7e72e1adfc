"""Runs a shell command on a terminal of its own, as a user does who pastes it.

Arguments: the command, then pairs of what to wait for and what to type then. Prints all that the terminal shows.
Not inside: anything but Python's standard library.
"""

import os
import pty
import select
import sys
import time

BOUND_SECONDS = 60

command, *dialogue = sys.argv[1:]
end = time.monotonic() + BOUND_SECONDS
process, terminal = pty.fork()
if process == 0:
    os.execvp("sh", ["sh", "-c", command])

shown = b""
seen = 0


def read():
    """Takes what the terminal shows next; False at its end."""
    global shown
    if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        sys.exit(f"nothing came any more; the terminal shows:\n{shown.decode(errors='replace')}")
    try:
        block = os.read(terminal, 4096)
    except OSError:
        return False
    shown += block
    return bool(block)


for expected, typed in zip(dialogue[::2], dialogue[1::2]):
    while (at := shown.find(expected.encode(), seen)) < 0:
        if not read():
            sys.exit(f"ended before it said {expected!r}:\n{shown.decode(errors='replace')}")
    seen = at + len(expected)
    os.write(terminal, typed.encode() + b"\n")
while read():
    pass
_, status = os.waitpid(process, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
