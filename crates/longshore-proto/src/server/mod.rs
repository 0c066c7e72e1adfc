//! The server's side of one control connection, as a state machine.
//!
//! Not inside: sockets, files, clocks, the line buffer, and the bytes of files. Whoever drives a [`Session`] gives
//! it one [`Input`] after the other and carries out each [`Output`] in order:
//!
//! ```text
//! session.handle(now, input);
//! while let Some(output) = session.next() { /* carry it out */ }
//! let wake_at = session.deadline();
//! ```
//!
//! Every [`Output::Login`], [`Output::Storage`] and most [`Output::Data`] are answered, once, by the input with the
//! same [`OperationId`]. There is at most one of each kind under way, except [`DataOp::Cancel`] and
//! [`DataOp::Progress`], which speak to the one that is.

mod arrangement;
mod commands;
mod ending;
mod information;
mod login;
mod protection;
mod session;
mod settings;
mod timers;
mod transfer;
mod waiting;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use longshore_path::VirtualPath;

use crate::command::{Mode, Representation, Secret, Structure};
use crate::limits;
use crate::listing::{Facts, Pattern};
use crate::reply::{Reply, Situation};
use crate::time::UnixTime;
use crate::transmission::{self, Level, Marker};
use crate::verbs::{Direction, Failure, Verb};

pub use arrangement::Route;
pub use protection::{Protection, TlsEvent, TlsNeed, TlsOffer, TlsPolicy};
pub use session::Session;

/// A point in time: how long after some fixed moment of the driver's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}

/// The two ends of the control connection, IPv4-mapped addresses already turned into IPv4.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Our end.
    pub local: SocketAddr,
    /// The client's end.
    pub peer: SocketAddr,
}

/// What an operator decides about sessions. The defaults are those of [`limits`].
#[derive(Clone, Debug)]
pub struct Policy {
    /// From the connection to a finished login.
    pub login_timeout: Duration,
    /// Without a command or data.
    pub idle_timeout: Duration,
    /// From the mark to the data connection.
    pub connect_timeout: Duration,
    /// How long a passive port waits for the transfer command.
    pub reservation_timeout: Duration,
    /// Without a byte of the transfer moving.
    pub stall_timeout: Duration,
    /// From the beginning of TLS on the control connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// What is protected, and what must be.
    pub tls: TlsPolicy,
    /// Whether the names that are not anonymous may send a password in clear over this connection.
    pub clear_passwords: bool,
    /// Whether data connections may go to other addresses than the control connection's (FXP).
    pub foreign_addresses: bool,
    /// Whether MODE Z is offered. Some clients compress everything once they see it.
    pub deflate: bool,
    /// The passive ports, for the texts.
    pub passive_ports: RangeInclusive<u16>,
    /// The address that 227 names, where it is not the control connection's own.
    pub public_address: Option<Ipv4Addr>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            login_timeout: Duration::from_secs(limits::LOGIN_TIMEOUT_SECONDS),
            idle_timeout: Duration::from_secs(limits::IDLE_TIMEOUT_SECONDS),
            connect_timeout: Duration::from_secs(limits::CONNECT_TIMEOUT_SECONDS),
            reservation_timeout: Duration::from_secs(limits::RESERVATION_TIMEOUT_SECONDS),
            stall_timeout: Duration::from_secs(limits::STALL_TIMEOUT_SECONDS),
            handshake_timeout: Duration::from_secs(limits::HANDSHAKE_TIMEOUT_SECONDS),
            tls: TlsPolicy::default(),
            clear_passwords: true,
            foreign_addresses: false,
            deflate: false,
            passive_ports: 30000..=30999,
            public_address: None,
        }
    }
}

/// Names one operation, so that a late answer cannot be taken for another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Everything that can happen to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// A whole line came.
    Line(crate::line::Line<'a>),
    /// Urgent data is pending on the control connection (Telnet Synch, which announces ABOR).
    Urgent,
    /// The client will send nothing more.
    EndOfInput,
    /// The control connection is broken.
    Reset,
    /// The answer to [`Output::Login`].
    Login(OperationId, LoginOutcome),
    /// The answer to [`Output::StartTls`].
    Tls(OperationId, TlsEvent),
    /// The answer to [`Output::Storage`].
    Storage(OperationId, StorageOutcome),
    /// The answer to [`Output::Data`].
    Data(OperationId, DataEvent),
    /// The moment named by [`Session::deadline`] has come (or passed, or not yet: the session looks).
    Timeout,
    /// The server wants to end: what was read is still carried out, and nothing after it.
    Drain,
    /// The server ends: what runs is stopped.
    Shutdown,
}

/// Everything a session can ask for.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Reply(Reply),
    /// Begin TLS on the control connection. If a byte stands behind the line that was handed in last, nothing is done
    /// and [`TlsEvent::BytesBehind`] is the answer; else this is sent, in clear, and all that follows is TLS. Answered
    /// by [`Input::Tls`].
    StartTls(OperationId, Option<Reply>),
    /// Send this, the last that is protected; the control connection goes on in clear.
    StopTls(Reply),
    /// Check who logs in. Answered by [`Input::Login`].
    Login(OperationId, LoginRequest),
    /// Forget the account of the login before.
    Logout,
    /// Do this to files. Answered by [`Input::Storage`].
    Storage(OperationId, StorageOp),
    /// Do this to the data connection. Answered by [`Input::Data`] where the operation says so.
    Data(OperationId, DataOp),
    /// Tell whoever watches.
    Event(Event),
    /// Send what is still unsent, then close the control connection. Nothing follows.
    Close,
}

/// How many lines a session takes at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any that come.
    Lines,
    /// None: enough wait already. Only urgent data is of interest.
    Nothing,
}

/// Who wants to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// As given with USER.
    pub user: Vec<u8>,
    /// What is to show that it is true.
    pub credential: Credential,
}

/// What shows that somebody is who they say they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// As given with PASS.
    Password(Secret),
    /// The certificate that was shown when TLS began. A rejection is no failed login: the password is asked for.
    Certificate,
}

/// What became of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// Welcome.
    Accepted {
        /// The account's name, for replies and logs.
        account: String,
        /// Where the session begins.
        directory: VirtualPath,
        /// Whether it has a quota, of which STAT tells.
        quota: bool,
        /// What it needs to be protected; what the policy needs is needed besides.
        need: TlsNeed,
    },
    /// No, for a reason that only the log learns.
    Rejected {
        /// Logins that failed from the same address before this one, where somebody counts them.
        earlier: u32,
    },
    /// Too many failed from this address, and nobody looked at this one.
    Banned {
        /// For how long yet.
        seconds: u64,
    },
}

/// How much of its quota an account has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaStatus {
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes that may be in use; `None` without limit.
    pub limit_bytes: Option<u64>,
    /// Files in use.
    pub files: u64,
    /// Files that may be in use; `None` without limit.
    pub limit_files: Option<u64>,
}

/// What a session asks of storage. All paths are absolute; rights are checked by whoever carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageOp {
    /// May this directory become the current one? Answered by `Done`.
    ChangeDirectory(VirtualPath),
    /// Answered by `Done`.
    MakeDirectory(VirtualPath),
    /// Answered by `Done`.
    RemoveDirectory(VirtualPath),
    /// Answered by `Done`.
    RemoveFile(VirtualPath),
    /// Is this there, and may it be renamed? Answered by `Done`.
    RenameFrom(VirtualPath),
    /// Answered by `Done`.
    Rename {
        /// The old name.
        from: VirtualPath,
        /// The new one.
        to: VirtualPath,
    },
    /// The octets of a file, or of the kept part where no finished file is. Answered by `Size`.
    Size(VirtualPath),
    /// When a file, or the kept part, was modified. Answered by `Modified`.
    Modified(VirtualPath),
    /// Answered by `Done`.
    SetModified(VirtualPath, UnixTime),
    /// Answered by `Mode`.
    SetMode(VirtualPath, u32),
    /// The quota of the account. Answered by `Quota`.
    Quota,
    /// The line of facts for MLST, without its end. Answered by `Lines`.
    Facts(VirtualPath, Facts),
    /// Lines for STAT, without their ends. Answered by `Lines`, or `TooMany`.
    StatusListing(VirtualPath),
    /// Room at this directory. Answered by `FreeSpace`.
    FreeSpace(VirtualPath),
    /// Open a file for sending from an offset. Answered by `Opened`.
    OpenRetrieve {
        /// Which.
        path: VirtualPath,
        /// The first octet to send.
        offset: u64,
    },
    /// Open a directory for sending its list; a file is a list of one. Answered by `Opened`.
    OpenListing {
        /// Which.
        path: VirtualPath,
        /// Whether only a directory will do.
        directory_only: bool,
    },
    /// Open a file for receiving. Answered by `UploadOpened`.
    OpenUpload {
        /// Which, or for [`UploadStart::Unique`] a wish.
        path: VirtualPath,
        /// Where the first octet goes.
        start: UploadStart,
    },
    /// Close what `Open…` opened; an upload's part is treated as after a cut. Answered by `Abandoned`.
    Abandon,
    /// Finish the upload: after `Done` it is stored. Cannot be stopped.
    Commit,
}

/// Where an upload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStart {
    /// STOR: a new file in place of an old one.
    Replace,
    /// STOU: a new file under a free name.
    Unique,
    /// APPE: at the end.
    Append,
    /// After REST: at this octet.
    At(u64),
}

/// What storage answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageOutcome {
    /// It is done.
    Done,
    /// Octets.
    Size(u64),
    /// A time.
    Modified(UnixTime),
    /// Lines without their ends, and whether they are of a directory.
    Lines {
        /// Ready to be sent.
        lines: Vec<Vec<u8>>,
        /// Whether it was one.
        directory: bool,
    },
    /// A directory with more entries than [`limits::STATUS_LIMIT_ENTRIES`].
    TooMany,
    /// Octets; `None` where nobody knows.
    FreeSpace(Option<u64>),
    /// The permission bits that it has now, which may be others than were asked for.
    Mode(u32),
    /// How much of it is used; `None` without a quota.
    Quota(Option<QuotaStatus>),
    /// It is open.
    Opened,
    /// It is open, under this final name.
    UploadOpened(VirtualPath),
    /// It is closed.
    Abandoned {
        /// Octets of the file that REST and STOR can go on from: a part is kept, and no finished file hides it.
        resumable: Option<u64>,
    },
    /// It was not done.
    Failed(Failure),
}

/// What a session asks of the data connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataOp {
    /// Listen on a passive port; an older one ends. Answered by `Reserved` or `NoPort`.
    Reserve,
    /// Close the passive port and any data connection that stands. Not answered.
    Release,
    /// Does the client's connection stand already, or the one that was kept still? Answered by `Standing` or `NotYet`, without waiting.
    Probe,
    /// Have the data connection. Answered by `Established` or `NotEstablished`.
    Establish(Channel),
    /// Move the bytes. Answered by `Finished`.
    Move(TransferJob),
    /// How many bytes has `Move` moved? Answered by `Progress` before any further line is handed in.
    Progress,
    /// End `Establish` or `Move`, which then answers.
    Cancel,
}

/// The data connection that a transfer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// How it comes about.
    pub route: Route,
    /// Which way its bytes will go.
    pub direction: Direction,
    /// Whether TLS begins on it before anything else.
    pub protection: Protection,
}

/// What happens to the data connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEvent {
    /// Listening on this port.
    Reserved(u16),
    /// Every port of the range is taken.
    NoPort,
    /// The system gives no socket at the moment.
    NoResources,
    /// The client has connected, and from a right address.
    Standing,
    /// It has not.
    NotYet,
    /// The data connection stands.
    Established,
    /// It could not be had.
    NotEstablished(ConnectFailure),
    /// Bytes of the file moved so far.
    Progress(u64),
    /// A restart marker came in an upload.
    Marker {
        /// As the client wrote it.
        marker: Marker,
        /// Octets of the file before it.
        offset: u64,
    },
    /// The bytes have moved, or not; the data connection is closed unless it is kept.
    Finished {
        /// Bytes of the data connection that were moved.
        bytes: u64,
        /// How it ended.
        end: End,
        /// Whether the data connection stays for the next transfer. Only after a complete one whose mode keeps it.
        kept: bool,
    },
}

/// Why there is no data connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// [`DataOp::Cancel`] came before anybody fitting did.
    Cancelled {
        /// Connections from other addresses that were closed meanwhile.
        strangers: u32,
    },
    /// Active: the client's port is closed.
    Refused,
    /// Active: no way there, or no answer.
    Unreachable,
    /// [`DataOp::Cancel`] came while its TLS had not begun.
    HandshakeCancelled,
    /// Its first bytes were no TLS.
    NotTls,
    /// TLS failed; why.
    HandshakeFailed(String),
    /// TLS came about, and does not prove that it is the client's, which it must; why.
    NotResumed(String),
    /// [`DataOp::Cancel`] came, and only connections from other addresses had, none of which proved to be the client's.
    OnlyUnproved,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it, in order.
    Complete,
    /// The peer or the network broke the data connection.
    Reset,
    /// No byte moved for the stall time-out.
    Stalled,
    /// [`DataOp::Cancel`] stopped it.
    Cancelled,
    /// Our side could not read or write.
    Storage(Failure),
    /// What came breaks the rules of MODE or STRU, or ended before the file did.
    Malformed(transmission::Error),
    /// The file became shorter than it was when it was opened.
    Shrank,
    /// TLS broke, or the client ended it by an alert.
    TlsBroken,
    /// The client's direction ended without close_notify, and that is not taken for an end.
    NoCloseNotify,
    /// A connection that is to be in clear brought nothing but the beginning of TLS.
    TlsUnexpected,
}

/// One transfer as a value: nothing of the session is read after it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferJob {
    /// Of the operation that moves it.
    pub id: OperationId,
    /// The command.
    pub verb: Verb,
    /// Which way.
    pub direction: Direction,
    /// The file or directory.
    pub path: VirtualPath,
    /// The first octet of the file to move.
    pub offset: u64,
    /// TYPE.
    pub representation: Representation,
    /// STRU.
    pub structure: Structure,
    /// MODE.
    pub mode: Mode,
    /// Whether the data connection stays open behind a file that is whole.
    pub keeps_connection: bool,
    /// The level of MODE Z that the client has asked for.
    pub level: Option<Level>,
    /// PROT.
    pub protection: Protection,
    /// Give up after so long without a byte.
    pub stall_timeout: Duration,
    /// What is sent.
    pub plan: Plan,
}

/// What a transfer sends or receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// A file.
    File,
    /// A directory's list.
    Listing {
        /// How each line looks.
        format: ListingFormat,
        /// Only names that match.
        pattern: Option<Pattern>,
    },
}

/// How a line of a listing looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingFormat {
    /// LIST: as `ls -l` shows it.
    Long,
    /// NLST: the name behind this prefix, so that it can be used with RETR as it stands.
    Names(Vec<u8>),
    /// MLSD.
    Facts(Facts),
}

/// What whoever watches learns. The driver knows who, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody came in.
    LoggedIn {
        /// The account's name.
        account: String,
    },
    /// Somebody did not.
    LoginRefused {
        /// The name that was tried.
        user: Vec<u8>,
        /// What the peer was told.
        situation: Situation,
    },
    /// A transfer command was answered for good.
    TransferEnded {
        /// The command.
        verb: Verb,
        /// The file or directory.
        path: VirtualPath,
        /// TYPE.
        representation: Representation,
        /// PROT.
        protection: Protection,
        /// The octet it began at.
        offset: u64,
        /// Bytes moved over the data connection.
        bytes: u64,
        /// The final answer.
        situation: Situation,
    },
    /// A directory or name was changed: MKD, RMD, DELE, RNTO, MFMT.
    Changed {
        /// The command.
        verb: Verb,
        /// What it was done to.
        path: VirtualPath,
        /// The new name of a renaming.
        to: Option<VirtualPath>,
    },
    /// The client told its name with CLNT.
    ClientNamed {
        /// As it said.
        name: Vec<u8>,
    },
    /// The session ends.
    Ended {
        /// Why.
        why: Ending,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// QUIT.
    Quit,
    /// The client closed without QUIT.
    Closed,
    /// The connection broke.
    Reset,
    /// TLS did not come about on the control connection.
    TlsFailed,
    /// We ended it and said why with this 421.
    Said(Situation),
}
