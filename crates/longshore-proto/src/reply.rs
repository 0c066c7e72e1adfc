//! What the server says: one table of situations, each with a stable id, a code and an English text.
//!
//! Not inside: the decision which situation holds; that is the [`Session`](crate::server::Session)'s. The id is the
//! key in logs, events and translations. A text has one line, names cause and remedy, and takes its figures from
//! named arguments in braces. Parts that clients read by machine are arguments, so no translation can touch them.

use std::borrow::Cow;

use crate::listing::push_decimal;

/// An answer: the situation, its figures, and lines between the first and the last where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Why this answer was chosen.
    pub situation: Situation,
    /// The values of the text's `{names}`.
    pub arguments: Vec<(&'static str, Value)>,
    /// Lines of a multi-line reply, without their end; each is sent with a space before it.
    pub lines: Vec<Vec<u8>>,
}

/// A figure or name within a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A count, size, port or number of seconds.
    Number(u64),
    /// Our own words.
    Text(Cow<'static, str>),
    /// Bytes of the peer or of a file name; control characters are sent as `?`.
    Bytes(Vec<u8>),
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Value {
        Value::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Number(number as u64)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Cow::Owned(text))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bytes(bytes)
    }
}

impl From<&longshore_path::VirtualPath> for Value {
    fn from(path: &longshore_path::VirtualPath) -> Value {
        Value::Bytes(path.as_bytes().to_vec())
    }
}

impl Reply {
    /// The answer for a situation whose text needs no figures (yet).
    pub fn new(situation: Situation) -> Reply {
        Reply { situation, arguments: Vec::new(), lines: Vec::new() }
    }

    /// The same answer with the value of one `{name}`.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Reply {
        self.arguments.push((name, value.into()));
        self
    }

    /// The same answer with lines between the first and the last.
    pub fn with_lines(mut self, lines: Vec<Vec<u8>>) -> Reply {
        self.lines = lines;
        self
    }

    /// Writes the answer as it goes over the wire (RFC 959 section 4.2), in the language of `texts`.
    ///
    /// A multi-line reply is `211-first`, lines that begin with a space (so that none can look like the end), and
    /// `211 End`.
    pub fn write(&self, texts: &dyn Texts, out: &mut Vec<u8>) {
        let code = self.situation.code();
        let digits = [b'0' + (code / 100) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8];
        out.extend_from_slice(&digits);
        out.push(if self.lines.is_empty() { b' ' } else { b'-' });
        self.write_text(texts.text(self.situation), out);
        out.extend_from_slice(b"\r\n");
        if self.lines.is_empty() {
            return;
        }
        for line in &self.lines {
            out.push(b' ');
            write_bytes(line, out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&digits);
        out.push(b' ');
        out.extend_from_slice(texts.end().as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// The text with its figures, without code and line end; for logs and tests.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        self.write_text(English.text(self.situation), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write_text(&self, mut template: &str, out: &mut Vec<u8>) {
        while let Some((before, rest)) = template.split_once('{') {
            out.extend_from_slice(before.as_bytes());
            // A translation with a stray brace must not take the session down: it is sent as it stands.
            let Some((name, after)) = rest.split_once('}') else {
                out.extend_from_slice(rest.as_bytes());
                return;
            };
            match self.arguments.iter().find(|(key, _)| *key == name) {
                Some((_, Value::Number(number))) => push_decimal(out, *number),
                Some((_, Value::Text(text))) => write_bytes(text.as_bytes(), out),
                Some((_, Value::Bytes(bytes))) => write_bytes(bytes, out),
                None => {
                    debug_assert!(false, "{} lacks {{{name}}}", self.situation.id());
                    out.push(b'?');
                }
            }
            template = after;
        }
        out.extend_from_slice(template.as_bytes());
    }
}

/// No byte of an argument may end the line or move a cursor; 0xFF is Telnet's IAC and is doubled (RFC 854).
fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            0xFF => out.extend_from_slice(b"\xFF\xFF"),
            byte if byte.is_ascii_control() => out.push(b'?'),
            byte => out.push(byte),
        }
    }
}

/// The texts of one language.
pub trait Texts: Send + Sync {
    /// The text of a situation, with the same `{names}` as the English one.
    fn text(&self, situation: Situation) -> &str;
    /// The word on the last line of a multi-line reply.
    fn end(&self) -> &str;
}

/// The texts as they stand in the table of situations.
pub struct English;

impl Texts for English {
    fn text(&self, situation: Situation) -> &str {
        situation.text()
    }

    fn end(&self) -> &str {
        "End"
    }
}

macro_rules! situations {
    ($( $(#[$meta:meta])* $name:ident = $code:literal $id:literal $text:literal; )*) => {
        /// Why a reply was chosen. Each has a stable id, one code and one text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the text beside each name is its documentation")]
        pub enum Situation { $( $(#[$meta])* $name, )* }

        impl Situation {
            /// All of them, in the order of the table.
            pub const ALL: &[Situation] = &[$( Situation::$name, )*];

            /// The stable name in logs, events and translations.
            pub const fn id(self) -> &'static str {
                match self { $( Situation::$name => $id, )* }
            }

            /// The reply code (RFC 959 section 4.2).
            pub const fn code(self) -> u16 {
                match self { $( Situation::$name => $code, )* }
            }

            /// The English text; `{names}` stand for arguments.
            pub const fn text(self) -> &'static str {
                match self { $( Situation::$name => $text, )* }
            }
        }
    };
}

situations! {
    // The session itself.
    Greeting = 220 "session.greeting" "longshore is ready; log in with USER and PASS";
    Reset = 220 "session.reset" "All is as at the beginning; log in with USER and PASS";
    Goodbye = 221 "session.goodbye" "Goodbye";
    Idle = 421 "session.idle" "Nothing happened for {seconds} s, so this session ends; reconnect when there is work";
    LoginTimeout = 421 "session.login-timeout" "No login within {seconds} s, so this session ends; reconnect, then send USER and PASS";
    Shutdown = 421 "session.shutdown" "The server is shutting down; reconnect later";
    Full = 421 "session.full" "All {limit} sessions of this server are in use; try again later";
    FullForAddress = 421 "session.full-for-address" "All {limit} sessions for {address} are in use; close one or try again later";
    FirstLineTooLong = 421 "session.first-line-too-long" "The first line was longer than {limit} bytes, which no FTP client sends; use one";
    NotFtp = 421 "session.not-ftp" "This is an FTP server and {verb} is {protocol}; use an FTP client";
    Fault = 421 "session.fault" "A fault of this server ended the session, and its log says more; reconnect";

    Banned = 421 "session.banned" "Too many logins from {address} failed; come again in {seconds} s, and check name and password first";
    TooFast = 421 "session.too-fast" "{address} connects more than {limit} times a second; keep sessions open, or connect more slowly";
    NoDescriptors = 421 "session.no-descriptors" "The server has no descriptor left for another session; try again in a moment, the operator's log says more";

    // The line, before it is a command.
    LineTooLong = 500 "line.too-long" "The line was longer than {limit} bytes and was not carried out; send a shorter one";
    LineEmpty = 500 "line.empty" "The line was empty; send a command, HELP lists those there are";
    LineNul = 501 "line.nul" "The line held a NUL byte and was not carried out; no name can hold one";
    Unknown = 500 "command.unknown" "{verb} is not known here; HELP lists what is";
    NotOffered = 502 "command.not-offered" "{verb} is not offered here; HELP lists what is";
    BadArgument = 501 "command.bad-argument" "{detail}; the form is: {syntax}";
    ParameterNotOffered = 504 "command.parameter-not-offered" "{parameter} is not offered; use {instead}";

    // Valid commands at the wrong time.
    PassWithoutUser = 503 "sequence.pass-without-user" "PASS must come directly after USER; send USER first";
    RntoWithoutRnfr = 503 "sequence.rnto-without-rnfr" "RNTO must come directly after RNFR; send RNFR first";
    NothingArranged = 503 "sequence.nothing-arranged" "No data connection is arranged for {verb}; send EPSV, PASV, EPRT or PORT first";
    EpsvAll = 503 "sequence.epsv-all" "EPSV ALL was sent, so {verb} is refused until the session ends; send EPSV";
    RestNotFollowed = 503 "sequence.rest-not-followed" "REST {offset} was not directly followed by its transfer and is forgotten; send REST again, then {verb}";

    AuthInsideTls = 503 "sequence.auth-inside-tls" "TLS protects this connection already; go on with USER";
    PbszInClear = 503 "sequence.pbsz-in-clear" "PBSZ is said inside TLS; send AUTH TLS first";
    ProtWithoutPbsz = 503 "sequence.prot-without-pbsz" "PROT must come after PBSZ, inside TLS; send PBSZ 0 first";

    // Coming in.
    PasswordWanted = 331 "login.password-wanted" "Send the password with PASS";
    LoggedIn = 230 "login.accepted" "Logged in as {account}";
    LoginRejected = 530 "login.rejected" "Login refused; check name and password, then send USER again, or ask the operator, whose log has the reason";
    LoginRejectedInClear = 530 "login.rejected-in-clear" "Login refused; check name and password, send AUTH TLS first if the account needs it, then USER again, or ask the operator, whose log has the reason";
    LoggedInByCertificate = 232 "login.by-certificate" "Logged in as {account} by certificate, no password is needed";
    TlsNeeded = 530 "login.tls-needed" "This login is not taken in clear; send AUTH TLS first, clients call this explicit TLS or FTPES";
    LoginAttempts = 421 "login.too-many-attempts" "{limit} logins failed, so this session ends; check name and password before you reconnect";
    LoginNeeded = 530 "login.needed" "{verb} needs a login; send USER, then PASS";
    ClearRefused = 530 "login.clear-refused" "Passwords in clear are taken only from this machine itself; log in as anonymous, or ask the operator to allow them";
    AccountSuperfluous = 202 "login.account-superfluous" "ACCT is not needed here; go on";

    // Protection (RFC 4217).
    TlsBegins = 234 "tls.begins" "TLS begins with the next byte";
    TlsNoCertificate = 431 "tls.no-certificate" "The server has no certificate, so there is no TLS; go on in clear, or ask the operator to set one";
    TlsNotOffered = 534 "tls.not-offered" "TLS is switched off here; go on in clear, or ask the operator";
    BytesBehindAuth = 421 "tls.bytes-behind-auth" "More came behind AUTH before it was answered, which somebody else could have sent; reconnect and wait for 234";
    BufferSizeSet = 200 "tls.pbsz" "PBSZ=0";
    ProtClear = 200 "tls.prot-clear" "Data connections are in clear";
    ProtPrivate = 200 "tls.prot-private" "Data connections are protected by TLS";
    ProtClearRefused = 534 "tls.prot-clear-refused" "Data connections must be protected here (require = data); send PROT P";
    ProtLevel = 536 "tls.prot-level" "TLS has no such level; send PROT P";
    ControlClear = 200 "tls.ccc" "The control connection goes on in clear";
    CccInClear = 533 "tls.ccc-in-clear" "The control connection is in clear already; send AUTH TLS to protect it";
    CccRefused = 534 "tls.ccc-refused" "The control connection stays protected (allow_ccc = false); go on inside TLS, or use EPSV if a NAT device was to read PORT";
    ReinRefused = 502 "tls.rein-refused" "REIN would take TLS away, which is not allowed here (allow_ccc = false); send QUIT and reconnect";

    // Small answers.
    Noop = 200 "noop.done" "Still here";
    ClientNoted = 200 "client.noted" "Noted";
    TypeSet = 200 "parameter.type-set" "TYPE is {value}";
    StructureSet = 200 "parameter.structure-set" "STRU is {value}";
    ModeSet = 200 "parameter.mode-set" "MODE is {value}";
    NamesAreBytes = 200 "options.utf8" "Names are kept and sent as bytes, UTF-8 included";
    FactsSet = 200 "options.mlst" "MLST OPTS {facts}";
    DeflateLevelSet = 200 "options.mode-z" "MODE Z compresses with level {level}";
    DeflateStays = 200 "options.mode-z-keep" "In MODE Z the data connection stays open for the next transfer";
    DeflateCloses = 200 "options.mode-z-close" "In MODE Z the data connection closes behind each file";
    Features = 211 "features.list" "These extensions are offered";
    System = 215 "system.type" "UNIX Type: L8";
    HelpList = 214 "help.list" "These commands are offered; HELP NAME tells more of one";
    HelpVerb = 214 "help.verb" "{syntax}: {help}";
    HelpSite = 214 "help.site" "These SITE commands are offered: CHMOD <mode> <path>, HELP, QUOTA";
    SpaceFine = 200 "allocate.fine" "There is room for {bytes} bytes; nothing need be reserved";
    SpaceUnknown = 200 "allocate.unknown" "Noted; how much room there is is not known";
    SpaceShort = 552 "allocate.too-much" "There is room for {free} bytes only, not for {bytes}; free some space first";

    // Status.
    Status = 211 "status.session" "Status of this session";
    StatusDirectory = 212 "status.directory" "Status of the directory {path}";
    StatusFile = 213 "status.file" "{path} is";
    StatusUnavailable = 450 "status.unavailable" "{path}: {detail}; LIST of its directory shows what is there";

    // Directories and names.
    CurrentDirectory = 257 "directory.current" "\"{path}\" is the current directory";
    DirectoryChanged = 250 "directory.changed" "The current directory is now {path}";
    DirectoryMade = 257 "directory.made" "\"{path}\" was made";
    DirectoryRemoved = 250 "directory.removed" "{path} was removed";
    FileRemoved = 250 "file.removed" "{path} was removed";
    RenamePending = 350 "rename.pending" "{path} is there; send RNTO with its new name next";
    Renamed = 250 "rename.done" "{from} is now {path}";

    // Facts of files.
    Size = 213 "file.size" "{size}";
    SizeAscii = 550 "size.ascii" "The size of {path} in TYPE A is not known without sending it; send TYPE I, then SIZE";
    Modified = 213 "file.modified" "{time}";
    ModifiedSet = 213 "file.modified-set" "Modify={time}; {path}";
    FactsOf = 250 "file.facts" "Facts of {path}";

    // Why a file could not be had: commands that may answer 550.
    NotFound = 550 "file.not-found" "{path} does not exist; LIST shows what does";
    NoPermission = 550 "file.no-permission" "No permission for {path}; log in with an account that has it, or ask the operator";
    NotADirectory = 550 "file.not-a-directory" "{path} is not, or does not lie in, a directory; name a directory";
    IsADirectory = 550 "file.is-a-directory" "{path} is a directory; name a file";
    NotAFile = 550 "file.not-a-file" "{path} is neither a file nor a directory and cannot be used";
    Exists = 550 "file.exists" "{path} exists already; choose another name or remove it first";
    NotEmpty = 550 "directory.not-empty" "{path} is not empty; remove what it holds first";
    NameImpossible = 550 "name.impossible" "No file here can have this name: {detail}; choose another";
    StorageRefused = 550 "storage.refused" "{path}: {detail}; the operator's log says more";
    Busy = 450 "file.busy" "Somebody else is writing to {path}; try again in a moment";
    StorageBusy = 450 "storage.trouble" "{path}: {detail}; try again later, the operator's log says more";
    StorageFailed = 451 "storage.failed" "{path}: {detail}; the operator's log says more";

    // Why a name could not be written: STOR, STOU, APPE, RNTO.
    TargetNoPermission = 553 "target.no-permission" "No permission to write {path}; choose another place, log in with an account that may, or ask the operator";
    TargetNoDirectory = 553 "target.no-directory" "The directory of {path} does not exist; make it first with MKD";
    TargetIsADirectory = 553 "target.is-a-directory" "{path} is a directory; choose another name";
    TargetNotAFile = 553 "target.not-a-file" "{path} is neither a file nor a directory and cannot be written; choose another name";
    TargetExists = 553 "target.exists" "{path} exists and may not be overwritten; choose another name";
    TargetName = 553 "target.name-not-allowed" "This name is not allowed: {detail}; choose another";
    RenameNotFound = 553 "target.rename-not-found" "{from} is gone, or the directory of {path} does not exist; begin again with RNFR, or make the directory first";
    TargetFailed = 553 "target.failed" "{path}: {detail}; the operator's log says more";
    FileTooLarge = 552 "storage.too-large" "{path} would be larger than a file of this account may be; send a smaller one or ask the operator";
    SpaceUsedUp = 452 "storage.no-space" "No space is left for {path}; free some and send it again";
    QuotaUsedUp = 552 "storage.quota" "The quota leaves no room for {path}; remove files or ask the operator";

    // Restarting.
    RestartAccepted = 350 "restart.accepted" "The next RETR, STOR or APPE begins at {offset}";
    RestartBeyondEnd = 554 "restart.beyond-end" "{path} ends before {offset}; SIZE tells where, REST 0 begins anew";
    RestartInText = 555 "restart.type" "REST {offset} counts octets, and TYPE A and TYPE E change them; send TYPE I, REST again, then {verb}";

    RestartInPages = 554 "restart.pages" "REST {offset} is not possible with STRU P, whose pages are counted from the first; send STRU F, REST again, then {verb}";
    RestartMarker = 110 "restart.marker" "MARK {theirs} = {ours}";

    // SITE.
    FileModeSet = 200 "file.mode-set" "{path} has the mode {mode} now";
    Quota = 200 "quota.status" "Quota of {account}";

    // Arranging the data connection.
    Passive = 227 "data.passive" "Entering Passive Mode ({address})";
    ExtendedPassive = 229 "data.extended-passive" "Entering Extended Passive Mode ({address})";
    EpsvAllAccepted = 200 "data.epsv-all" "From now on only EPSV arranges data connections";
    Active = 200 "data.active" "The data connection will go to {address}";
    PassiveNeedsIpv4 = 501 "data.passive-needs-ipv4" "PASV cannot name an IPv6 address; send EPSV";
    FamilyNotOffered = 522 "data.family" "Only the control connection's own address family is offered, use ({family})";
    ForeignAddress = 504 "data.foreign-address" "Data connections go to {address} only, where you connect from; use EPSV";
    LowPort = 504 "data.low-port" "Ports below {minimum} are refused; choose another or use EPSV";
    NoResources = 425 "data.no-resources" "The server cannot open a passive port at the moment; try again later, the operator's log says why";
    NoPort = 425 "data.no-port" "All passive ports {range} are in use; try again in a moment, or use EPRT";

    // Marks.
    MarkStanding = 125 "transfer.begins" "The data connection stands, the transfer of {path} begins";
    MarkOpening = 150 "transfer.opening" "{path} is open, waiting for the data connection";
    MarkStandingUnique = 125 "transfer.begins-unique" "FILE: {name}";
    MarkOpeningUnique = 150 "transfer.opening-unique" "FILE: {name}";

    // Completions.
    Sent = 226 "transfer.sent" "{bytes} bytes sent; the data connection is closed";
    Stored = 226 "transfer.stored" "{bytes} bytes received, {path} is stored; the data connection is closed";
    SentKept = 250 "transfer.sent-kept" "{bytes} bytes sent; the data connection stays open for the next transfer";
    StoredKept = 250 "transfer.stored-kept" "{bytes} bytes received, {path} is stored; the data connection stays open for the next transfer";
    Aborted = 226 "abort.done" "ABOR is done; the data connection is closed";
    NothingToAbort = 226 "abort.idle" "ABOR is done, there was nothing to stop; no data connection is open";

    // The data connection could not be had.
    NoConnection = 425 "data.no-connection" "Nobody connected to port {port} within {seconds} s; a firewall may block {range}, or use EPRT";
    OnlyStrangers = 425 "data.only-strangers" "Only other addresses than {address} connected to port {port} within {seconds} s; connect from where the control connection comes";
    OnlyUnproved = 425 "data.only-unproved" "Only connections from other addresses than {address} came to port {port} within {seconds} s, and none resumed the TLS session of the control connection; resume it, or connect from that address";
    ActiveRefused = 425 "data.refused" "{address} refused the data connection; check the client's firewall, or use EPSV";
    ActiveUnreachable = 425 "data.unreachable" "{address} cannot be reached from here; a firewall or NAT may stand between, use EPSV";
    ActiveSilent = 425 "data.no-answer" "{address} did not answer within {seconds} s; a firewall or NAT may stand between, use EPSV";
    ArrangementExpired = 425 "data.expired" "The arranged data connection was not used within {seconds} s and is closed; send EPSV or PASV again";
    ConnectionCut = 425 "data.connection-cut" "The data connection was cut in the transfer before, or closed since; send EPSV or PASV again";
    ClosedByRefusal = 425 "data.connection-closed-by-refusal" "The refused upload before closed the data connection, as bytes for it may be under way; send EPSV or PASV again";

    // The data connection is not protected as it must be (RFC 4217 section 10.2).
    ProtectionNeeded = 521 "data.protection-needed" "{verb} needs a protected data connection here (require = data); send PBSZ 0 and PROT P first";
    DataTlsSilent = 522 "data.tls-silent" "The data connection came, but no TLS on it within {seconds} s; let the client protect data connections, or send PROT C where that is allowed";
    DataNotTls = 522 "data.not-tls" "The data connection began in clear, and PROT P is in force; let the client protect data connections, or send PROT C where that is allowed";
    DataTlsFailed = 522 "data.tls-failed" "TLS on the data connection failed: {detail}";
    DataNotResumed = 522 "data.tls-not-resumed" "TLS on the data connection must resume the control connection's session (data_session = require), but {detail}";

    // The data connection ended before the transfer.
    PeerReset = 426 "transfer.reset" "The data connection was reset after {bytes} bytes were sent; to go on send REST with the length you have, then RETR";
    PeerResetAnew = 426 "transfer.reset-anew" "The data connection was reset after {bytes} bytes were sent; ask again";
    Stalled = 426 "transfer.stalled" "No byte moved for {seconds} s after {bytes} bytes; check the network, then send REST with the length you have, then RETR";
    StalledAnew = 426 "transfer.stalled-anew" "No byte moved for {seconds} s after {bytes} bytes; check the network, then ask again";
    UploadReset = 426 "transfer.upload-reset" "The data connection was reset after {bytes} bytes and nothing of them is stored; send the file again from its beginning";
    UploadResetKept = 426 "transfer.upload-reset-kept" "The data connection was reset after {bytes} bytes; {kept} bytes of {path} are kept, to go on send REST {kept}, then STOR";
    UploadStalled = 426 "transfer.upload-stalled" "No byte came for {seconds} s after {bytes} bytes and nothing of them is stored; check the network, then send the file again from its beginning";
    UploadStalledKept = 426 "transfer.upload-stalled-kept" "No byte came for {seconds} s after {bytes} bytes; {kept} bytes of {path} are kept, check the network, then send REST {kept}, then STOR";
    TlsBroken = 426 "transfer.tls-broken" "TLS on the data connection ended early after {bytes} bytes were sent; to go on send REST with the length you have, then RETR";
    TlsBrokenAnew = 426 "transfer.tls-broken-anew" "TLS on the data connection ended early after {bytes} bytes were sent; ask again";
    UploadTlsBroken = 426 "transfer.upload-tls-broken" "TLS on the data connection broke after {bytes} bytes and nothing of them is stored; send the file again from its beginning";
    UploadTlsBrokenKept = 426 "transfer.upload-tls-broken-kept" "TLS on the data connection broke after {bytes} bytes; {kept} bytes of {path} are kept, to go on send REST {kept}, then STOR";
    UploadNoCloseNotify = 426 "transfer.upload-no-close-notify" "The data connection ended after {bytes} bytes without TLS close_notify, so they may be cut (upload_end_without_close_notify = refuse), and nothing is stored; let the client end TLS in order";
    UploadNoCloseNotifyKept = 426 "transfer.upload-no-close-notify-kept" "The data connection ended after {bytes} bytes without TLS close_notify, so they may be cut (upload_end_without_close_notify = refuse); {kept} bytes of {path} are kept, to go on send REST {kept}, then STOR";
    UploadTlsUnexpected = 426 "transfer.upload-tls-unexpected" "The client began TLS on a data connection that is in clear by PROT C, and nothing is stored; send PROT P, then the file again";
    UploadCut = 426 "transfer.upload-cut" "The data connection ended after {bytes} bytes, before the end of the file was told, and nothing of them is stored; send the file again from its beginning";
    UploadCutKept = 426 "transfer.upload-cut-kept" "The data connection ended after {bytes} bytes, before the end of the file was told; {kept} bytes of {path} are kept, to go on send REST {kept}, then STOR";
    UploadMalformed = 426 "transfer.upload-malformed" "What came after {bytes} bytes breaks the rules of MODE or STRU: {detail}; nothing is stored, send the file again";
    PageType = 551 "transfer.page-type" "A page of a type came that is not known; send simple pages, or STRU F";
    ControlLost = 426 "transfer.control-lost" "The control connection was lost after {bytes} bytes";
    TransferAborted = 426 "transfer.aborted" "Stopped by ABOR after {bytes} bytes";
    TransferShutdown = 426 "transfer.shutdown" "The server is shutting down, stopped after {bytes} bytes; reconnect later and begin again";
    NotBegun = 450 "transfer.not-begun" "Not begun: aborted";

    // Our own side failed during the transfer.
    ReadFailed = 451 "transfer.read-failed" "Reading {path} failed after {bytes} bytes; the operator's log says more";
    FileShrank = 451 "transfer.file-shrank" "{path} became shorter while it was sent, {bytes} bytes were; fetch it again";
    WriteFailed = 451 "transfer.write-failed" "Storing {path} failed after {bytes} bytes; the operator's log says more";
    ListingTooLong = 450 "listing.too-long" "{path} holds more than the {limit} entries that STAT lists; use MLSD or LIST";

    // Options and sites that are not there.
    OptionUnknown = 501 "options.unknown" "OPTS {option} is not known; OPTS UTF8 ON and OPTS MLST are";
    SiteUnknown = 501 "site.unknown" "SITE {command} is not known; SITE HELP lists what is";
    HelpUnknown = 501 "help.unknown" "{verb} is not offered here; HELP lists what is";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[track_caller]
    fn check(reply: Reply, expected: &str) {
        let mut out = Vec::new();
        reply.write(&English, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn one_line() {
        check(Reply::new(Situation::Noop), "200 Still here\r\n");
        check(
            Reply::new(Situation::Sent).with("bytes", u64::MAX),
            "226 18446744073709551615 bytes sent; the data connection is closed\r\n",
        );
        check(Reply::new(Situation::Size).with("size", 0_u64), "213 0\r\n");
    }

    #[test]
    fn arguments_cannot_end_the_line() {
        check(
            Reply::new(Situation::Unknown).with("verb", b"X\r\n226 done".to_vec()),
            "500 X??226 done is not known here; HELP lists what is\r\n",
        );
    }

    #[test]
    fn no_inner_line_looks_like_the_end() {
        let lines = vec![b"211 End".to_vec(), b"a\nb".to_vec()];
        check(
            Reply::new(Situation::Features).with_lines(lines),
            "211-These extensions are offered\r\n 211 End\r\n a?b\r\n211 End\r\n",
        );
    }

    #[test]
    fn the_table_is_well_formed() {
        let mut ids = HashSet::new();
        for &situation in Situation::ALL {
            let (id, text) = (situation.id(), situation.text());
            assert!(ids.insert(id), "{id} stands twice");
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
            );
            assert_eq!(id.matches('.').count(), 1, "{id} is area.what");
            assert!((100..600).contains(&situation.code()), "{id}");
            assert!(
                !text.ends_with('.') && text.bytes().all(|byte| (0x20..0x7F).contains(&byte)),
                "{id}: {text}"
            );
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{id}: {text}");
        }
    }
}
