//! Each server's settings: the same files, account, certificate and ports; no limits, no logs, no look-ups of names, no
//! listing that is cut short.
//!
//! What belongs to how a server is built is left as it comes: vsftpd's isolation of its processes, Pure-FTPd's separation
//! of privileges, longshore's log lines (which it writes to nowhere).
//!
//! Not inside: installing them.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Peer;
use super::install::Installed;
use crate::ground::{Ground, PASSIVE_PORTS, PBKDF2, SHA256_CRYPT, USER, USER_ID};

/// What longshore has done before it says that an upload is stored. No peer syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    None,
    Data,
}

/// More sessions than are ever held.
const SESSIONS: usize = 19_000;
/// Longer than a run, in seconds.
const DAY: u32 = 86_400;

/// What starts the server.
pub(super) fn command(
    peer: Peer,
    installed: &Installed,
    ground: &Ground,
    address: SocketAddr,
    durability: Durability,
) -> Result<Command, String> {
    match peer {
        Peer::Longshore => longshore(installed, ground, address, durability),
        Peer::Vsftpd => vsftpd(installed, ground, address),
        Peer::Proftpd => proftpd(installed, ground, address),
        Peer::PureFtpd => pure_ftpd(installed, ground, address),
        Peer::Pyftpdlib => pyftpdlib(installed, ground, address),
        Peer::Unftp => unftp(installed, ground, address),
        Peer::Limit => Ok(limit(installed, ground, address)),
    }
}

fn longshore(
    installed: &Installed,
    ground: &Ground,
    address: SocketAddr,
    durability: Durability,
) -> Result<Command, String> {
    let durability = match durability {
        Durability::None => "none",
        Durability::Data => "data",
    };
    let (first, last) = PASSIVE_PORTS.into_inner();
    let state = ground.folder.join("state");
    let text = format!(
        r#"[server]
listen = ["{address}"]
passive_ports = "{first}-{last}"
durability = "{durability}"
state_directory = {state:?}

[limits]
sessions = {SESSIONS}
idle_timeout_seconds = {DAY}

[log]
format = "text"

[tls]
certificate = {certificate:?}
key = {key:?}

[[account]]
name = "{USER}"
password = "{SHA256_CRYPT}"
root = {served:?}
permissions = ["all"]
"#,
        certificate = ground.certificate,
        key = ground.key,
        served = ground.served,
    );
    let file = ground.write("longshore.toml", &text)?;
    let mut command = Command::new(&installed.program);
    command.arg("serve").arg("--config").arg(file);
    Ok(command)
}

/// PAM and the system's accounts are the only ones that it knows: it sees ours in place of the machine's.
fn vsftpd(installed: &Installed, ground: &Ground, address: SocketAddr) -> Result<Command, String> {
    let (first, last) = PASSIVE_PORTS.into_inner();
    let text = format!(
        "listen=YES
listen_address={ip}
listen_port={port}
background=NO
anonymous_enable=NO
local_enable=YES
write_enable=YES
local_umask=022
chroot_local_user=YES
allow_writeable_chroot=YES
local_root={served}
secure_chroot_dir={empty}
pam_service_name=longshore-bench
seccomp_sandbox=NO
connect_from_port_20=NO
pasv_min_port={first}
pasv_max_port={last}
max_clients=0
max_per_ip=0
idle_session_timeout={DAY}
data_connection_timeout={DAY}
xferlog_enable=NO
ssl_enable=YES
ssl_request_cert=NO
rsa_cert_file={certificate}
rsa_private_key_file={key}
require_ssl_reuse=NO
force_local_logins_ssl=NO
force_local_data_ssl=NO
ssl_ciphers=HIGH
",
        ip = address.ip(),
        port = address.port(),
        served = ground.served.display(),
        empty = ground.empty.display(),
        certificate = ground.certificate.display(),
        key = ground.key.display(),
    );
    let file = ground.write("vsftpd.conf", &text)?;
    let mut command = among_our_accounts(ground)?;
    command.arg(&installed.program).arg(file).env("LD_LIBRARY_PATH", &installed.libraries);
    Ok(command)
}

fn proftpd(installed: &Installed, ground: &Ground, address: SocketAddr) -> Result<Command, String> {
    let (first, last) = PASSIVE_PORTS.into_inner();
    let served = ground.served.display();
    let accounts = ground
        .write("proftpd.passwd", &format!("{USER}:{SHA256_CRYPT}:{USER_ID}:{USER_ID}::{served}:/bin/sh\n"))?;
    let groups = ground.write("proftpd.group", &format!("{USER}:x:{USER_ID}:\n"))?;
    let text = format!(
        "ServerName bench
ServerType standalone
DefaultAddress {ip}
SocketBindTight on
Port {port}
UseIPv6 off
ModulePath {modules}
LoadModule mod_tls.c
User nobody
Group nogroup
AuthOrder mod_auth_file.c
AuthUserFile {accounts}
AuthGroupFile {groups}
RequireValidShell off
UseFtpUsers off
UseReverseDNS off
WtmpLog off
TransferLog none
SystemLog none
DelayEngine off
MaxInstances none
TimeoutIdle 0
TimeoutNoTransfer 0
TimeoutStalled 0
DefaultRoot {served}
AllowOverwrite on
UseSendfile on
PassivePorts {first} {last}
ScoreboardFile {settings}/proftpd.scoreboard
PidFile {settings}/proftpd.pid
TLSEngine on
TLSRequired off
TLSProtocol TLSv1.3 TLSv1.2
TLSECCertificateFile {certificate}
TLSECCertificateKeyFile {key}
TLSOptions NoSessionReuseRequired
TLSVerifyClient off
TLSLog none
",
        ip = address.ip(),
        port = address.port(),
        modules = installed.modules.display(),
        accounts = accounts.display(),
        groups = groups.display(),
        settings = ground.settings.display(),
        certificate = ground.certificate.display(),
        key = ground.key.display(),
    );
    let file = ground.write("proftpd.conf", &text)?;
    let mut command = Command::new(&installed.program);
    command.args(["--nodaemon", "--quiet", "--config"]).arg(file);
    command.env("LD_LIBRARY_PATH", &installed.libraries);
    Ok(command)
}

fn pure_ftpd(installed: &Installed, ground: &Ground, address: SocketAddr) -> Result<Command, String> {
    let (first, last) = PASSIVE_PORTS.into_inner();
    let served = ground.served.display();
    let accounts = format!("{USER}:{SHA256_CRYPT}:{USER_ID}:{USER_ID}::{served}/./::::::::::::\n");
    let text = ground.write("pure-ftpd.passwd", &accounts)?;
    let database = ground.settings.join("pure-ftpd.pdb");
    let mut make = Command::new(installed.program.with_file_name("../bin/pure-pw"));
    make.args(["mkdb".as_ref(), database.as_os_str(), "-f".as_ref(), text.as_os_str()]);
    let made = make.status().map_err(|error| format!("pure-pw: {error}"))?;
    if !made.success() {
        return Err(format!("pure-pw makes no database: {made}"));
    }
    let mut command = Command::new(&installed.program);
    command.arg("--ipv4only").arg("--bind").arg(format!("{},{}", address.ip(), address.port()));
    command.arg("--login").arg(format!("puredb:{}", database.display()));
    command.args(["--noanonymous", "--dontresolve", "--chrooteveryone", "--syslogfacility", "none"]);
    command.args(["--maxclientsnumber", "30000", "--maxclientsperip", "30000", "--maxidletime", "1440"]);
    command.args(["--limitrecursion", "2000000:9", "--minuid", "1"]);
    command.arg("--passiveportrange").arg(format!("{first}:{last}"));
    command.arg("--pidfile").arg(ground.settings.join("pure-ftpd.pid"));
    command.args(["--tls", "1", "--certfile"]).arg(&ground.pair);
    command.env("LD_LIBRARY_PATH", &installed.libraries);
    Ok(command)
}

fn pyftpdlib(installed: &Installed, ground: &Ground, address: SocketAddr) -> Result<Command, String> {
    let (first, last) = PASSIVE_PORTS.into_inner();
    let text = format!(
        r#"import ctypes
import logging

from pyftpdlib.authorizers import AuthenticationFailed, DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer

HASH = b"{SHA256_CRYPT}"
crypt = ctypes.CDLL("libcrypt.so.1").crypt
crypt.restype = ctypes.c_char_p


class Authorizer(DummyAuthorizer):
    def validate_authentication(self, username, password, handler):
        if not self.has_user(username) or crypt(password.encode(), HASH) != HASH:
            raise AuthenticationFailed("no")


class Handler(TLS_FTPHandler):
    authorizer = Authorizer()
    certfile = {certificate:?}
    keyfile = {key:?}
    passive_ports = range({first}, {last} + 1)
    timeout = {DAY}


logging.disable(logging.CRITICAL)
Handler.authorizer.add_user("{USER}", "", {served:?}, perm="elradfmwMT")
server = FTPServer(("{ip}", {port}), Handler, backlog=1000)
server.max_cons = 0
server.max_cons_per_ip = 0
server.serve_forever()
"#,
        certificate = ground.certificate,
        key = ground.key,
        served = ground.served,
        ip = address.ip(),
        port = address.port(),
    );
    let file = ground.write("serve-pyftpdlib.py", &text)?;
    let mut command = Command::new(&installed.program);
    command.arg(file);
    Ok(command)
}

fn unftp(installed: &Installed, ground: &Ground, address: SocketAddr) -> Result<Command, String> {
    let (first, last) = PASSIVE_PORTS.into_inner();
    let (salt, key, rounds) = PBKDF2;
    let account = format!(
        r#"[{{"username": "{USER}", "pbkdf2_salt": "{salt}", "pbkdf2_key": "{key}", "pbkdf2_iter": {rounds}}}]"#
    );
    let accounts = ground.write("unftp.json", &account)?;
    let mut command = Command::new(&installed.program);
    command.arg("--root-dir").arg(&ground.served).arg("--bind-address").arg(address.to_string());
    command.args(["--auth-type", "json", "--auth-json-path"]).arg(accounts);
    // The end of its range is not a part of it.
    command.arg("--passive-ports").arg(format!("{first}-{last}"));
    command.arg("--idle-session-timeout").arg(DAY.to_string());
    command.arg("--ftps-certs-file").arg(&ground.certificate).arg("--ftps-key-file").arg(&ground.key);
    command.args(["--bind-address-http", "127.0.0.1:0", "--log-level", "error"]);
    Ok(command)
}

fn limit(installed: &Installed, ground: &Ground, address: SocketAddr) -> Command {
    let (first, last) = PASSIVE_PORTS.into_inner();
    let mut command = Command::new(&installed.program);
    command.arg("limit").arg(address.to_string()).arg(&ground.served).arg(&ground.certificate);
    command.arg(&ground.key).arg(first.to_string()).arg(last.to_string());
    command
}

/// Words that run a program which sees our account among the machine's, and PAM's rule for it; nobody else sees them.
fn among_our_accounts(ground: &Ground) -> Result<Command, String> {
    let served = ground.served.display();
    let lines = [
        ("passwd", format!("{USER}:x:{USER_ID}:{USER_ID}::{served}:/bin/sh\n")),
        ("group", format!("{USER}:x:{USER_ID}:\n")),
        ("shadow", format!("{USER}:{SHA256_CRYPT}:19000:0:99999:7:::\n")),
    ];
    let mut script = String::from("set -e\n");
    for (name, line) in lines {
        let system = Path::new("/etc").join(name);
        let theirs = crate::ground::explained(&system, std::fs::read_to_string(&system))?;
        let ours = ground.write(name, &format!("{theirs}{line}"))?;
        let _ = writeln!(script, "mount --bind '{}' {}", ours.display(), system.display());
    }
    let rule = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n";
    let rule = ground.write("pam", rule)?;
    let _ = writeln!(script, "mount -t tmpfs none /mnt && cp '{}' /mnt/longshore-bench", rule.display());
    script += "mount --bind /mnt /etc/pam.d\nexec \"$@\"\n";
    let script = ground.write("among-our-accounts.sh", &script)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh"]).arg(script);
    Ok(command)
}
