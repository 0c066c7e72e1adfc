#!/bin/sh
# Reads the log in JSON from standard input and writes one line for each thing that somebody should hear of: a transfer
# that failed, a login that was refused, an address that was banned, storage that failed.
exec sed -unE \
    -e 's/^\{"time":"([^"]*)","event":"transfer",.*"peer":"([^"]*)",.*"account":"([^"]*)","verb":"([A-Z]*)",.*"path":"(.*)","type":.*"situation":"([^"]*)","code":([45][0-9]*).*/\1 \3 from \2: \4 \5 failed: \6 (\7)/p' \
    -e 's/^\{"time":"([^"]*)","event":"login-refused",.*"peer":"([^"]*)",.*"user":"(.*)","reason":"([^"]*)".*/\1 \3 from \2: login refused: \4/p' \
    -e 's/^\{"time":"([^"]*)","event":"banned",.*"address":"([^"]*)","seconds":([0-9]*).*/\1 \2 is banned for \3 s/p' \
    -e 's/^\{"time":"([^"]*)","event":"storage-failed",.*"cause":"(.*)".*/\1 storage failed: \2/p'
