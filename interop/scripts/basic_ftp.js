// Does the steps that its arguments name, in order; ends with the reply at the first that is refused.
//
// What the harness asks of every client, by the methods of the package basic-ftp; raw commands where it has none.
// Arguments: host port passive|active user password folder mode, then the steps; how it is protected stands in the
// environment.

"use strict";

const fs = require("fs");
const { Writable } = require("stream");
const { Client, enterPassiveModeIPv4 } = require("basic-ftp");

const [host, port, , user, password, folder, mode, ...words] = process.argv.slice(2);
const client = new Client(30000);

const version = `TLSv${process.env.INTEROP_TLS_VERSION}`;
const security = process.env.INTEROP_TLS && {
    secure: process.env.INTEROP_TLS === "implicit" ? "implicit" : true,
    secureOptions: {
        ca: fs.readFileSync(process.env.INTEROP_TLS_AUTHORITY),
        minVersion: version,
        maxVersion: version,
    },
};

async function login() {
    await client.access({ host, port: Number(port), user, password, ...security });
    if (mode === "PASV") {
        client.prepareTransfer = enterPassiveModeIPv4;
    }
    await client.cd(folder);
}

async function getDated(from, to) {
    await client.downloadTo(to, from);
    const time = await client.lastMod(from);
    fs.utimesSync(to, time, time);
}

async function putDated(from, to) {
    await client.uploadFrom(from, to);
    const stamp = fs.statSync(from).mtime.toISOString().replace(/\D/g, "").slice(0, 14);
    await client.send(`MFMT ${stamp} ${to}`);
}

async function list(where) {
    for (const entry of await client.list(where)) {
        console.log(entry.name);
    }
}

async function makeFolder(name) {
    const before = await client.pwd();
    await client.ensureDir(name);
    await client.cd(before);
}

// It has no ABOR: a target that fails ends the transfer, and the client with it.
async function stopGet(from) {
    let taken = 0;
    const target = new Writable({
        write(chunk, encoding, done) {
            taken += chunk.length;
            done(taken < 65536 ? null : new Error("enough"));
        },
    });
    await client.downloadTo(target, from).then(
        () => { throw new Error("it was not stopped"); },
        (error) => { if (error.message !== "enough") { throw error; } });
    if (client.closed) {
        await login();
    }
}

const steps = {
    "put": [2, (from, to) => client.uploadFrom(from, to)],
    "put-dated": [2, putDated],
    "append": [2, (from, to) => client.appendFrom(from, to)],
    "resume-put": [2, async (from, to) => client.appendFrom(from, to, { localStart: await client.size(to) })],
    "get": [2, (from, to) => client.downloadTo(to, from)],
    "get-dated": [2, getDated],
    "resume-get": [2, (from, to) => client.downloadTo(to, from, fs.statSync(to).size)],
    "list": [1, list],
    "stop-get": [1, stopGet],
    "make-folder": [1, makeFolder],
    "remove-folder": [1, (name) => client.removeEmptyDir(name)],
    "rename": [2, (from, to) => client.rename(from, to)],
    "delete": [1, (name) => client.remove(name)],
    "mirror-up": [2, (from, to) => client.uploadFromDir(from, to)],
    "mirror-down": [2, (from, to) => client.downloadToDir(to, from)],
};

async function run() {
    await login();
    while (words.length > 0) {
        const [count, action] = steps[words.shift()];
        await action(...words.splice(0, count));
    }
}

run()
    .catch((error) => {
        console.error(error.message);
        process.exitCode = 1;
    })
    .finally(() => client.close());
