//! The client's side of one control connection, as a state machine: the counterpart of [`server`](crate::server).
//!
//! Not inside: sockets, files, clocks, TLS, the line buffer, and the bytes of files. Whoever drives a [`Dialogue`] asks
//! for what it wants, gives it one [`Input`] after the other and carries out each [`Output`] in order:
//!
//! ```text
//! let request = dialogue.ask(now, Request::Retrieve(..));
//! dialogue.handle(now, input);
//! while let Some(output) = dialogue.next() { /* carry it out */ }
//! let wake_at = dialogue.deadline();
//! ```
//!
//! Each request is answered by exactly one [`Output::Done`], in the order of the requests, also when the control
//! connection is lost. What a request needs (TYPE, MODE, PROT, a data connection) is arranged by the dialogue, and not
//! repeated while it holds.
//!
//! # Whose bytes are on a data connection
//!
//! The data of a file never goes out, and is never taken in, under another name. In stream mode a data connection
//! serves one transfer. In block and compressed mode ([`Mode::keeps_connection`]), and in MODE Z where the server has
//! taken `OPTS MODE Z KEEP 1`, several share one, and commands are sent ahead; then these rules hold:
//!
//! 1. Jobs of one data connection run one after the other, in the order in which their commands were written. A job
//!    begins only when each one before it has ended whole, or was refused before its mark with no byte moved.
//! 2. A download's job begins behind its mark (in stream mode: with its command, for nothing else can come).
//! 3. An upload's job begins behind its mark; earlier only where [`Ahead::data`] says that the server closes the data
//!    connection of an upload that it refuses, so that it never takes the bytes of one file for the next.
//! 4. After a refused or failed upload, a job that did not end whole, a refusal behind the mark, or a 226 (which says
//!    that the server closes), no job begins on that data connection any more.
//! 5. Transfers whose command was written for a data connection that was lost so are asked again, in order, over a new
//!    one, when every command written before has been answered. Behind a transfer nothing but transfers is written
//!    ahead, so the order of effects is that of the requests.

mod arrangement;
mod commands;
mod dialogue;
mod ending;
mod reply;
mod schedule;
mod transfers;
mod values;
mod write;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::command::{Mode, Representation, Secret, Structure};
use crate::limits;
use crate::time::UnixTime;
use crate::transmission;
use crate::verbs::Verb;

pub use crate::server::{Connection, Moment, OperationId, Protection};
pub use dialogue::Dialogue;
pub use reply::{Class, Parser, Reply, ReplyError};
pub use values::{Features, parse_directory, parse_modified, parse_size};
pub use write::{CommandLine, Unsendable};

/// What a user decides about a dialogue.
#[derive(Clone, Debug)]
pub struct Options {
    /// How files are transmitted.
    pub mode: ModeChoice,
    /// Who connects the data connections.
    pub route: RouteChoice,
    /// Whether the address of 227 is used, and not the control connection's. A server could direct us at others by it.
    pub trust_passive_address: bool,
    /// What is sent before the answers to what was sent before it.
    pub ahead: Ahead,
    /// Whether transfers that stood behind one that was cut are asked again over a new data connection. Behind one that
    /// was refused they always are.
    pub ask_again_after_cut: bool,
    /// Whether TLS begins at once, before the greeting.
    pub implicit_tls: bool,
    /// Whether ABOR is announced by Telnet's IP and Synch, as urgent data (RFC 959 section 4.1.3). Servers that look at
    /// the control connection while data flows need no announcement.
    pub urgent_abort: bool,
    /// For each reply, and the greeting.
    pub reply_timeout: Duration,
    /// For the answers to ABOR.
    pub abort_timeout: Duration,
    /// For each data connection to the server.
    pub connect_timeout: Duration,
    /// For TLS on the control connection.
    pub handshake_timeout: Duration,
    /// Without a byte of a transfer moving; handed to whoever moves them.
    pub stall_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: ModeChoice::Stream,
            route: RouteChoice::Passive,
            trust_passive_address: false,
            ahead: Ahead::default(),
            ask_again_after_cut: true,
            implicit_tls: false,
            urgent_abort: false,
            reply_timeout: Duration::from_secs(limits::REPLY_TIMEOUT_SECONDS),
            abort_timeout: Duration::from_secs(limits::ABORT_TIMEOUT_SECONDS),
            connect_timeout: Duration::from_secs(limits::CONNECT_TIMEOUT_SECONDS),
            handshake_timeout: Duration::from_secs(limits::HANDSHAKE_TIMEOUT_SECONDS),
            stall_timeout: Duration::from_secs(limits::STALL_TIMEOUT_SECONDS),
        }
    }
}

/// Which MODE transfers use. In MODE Z data connections stay open where FEAT tells of `OPTS MODE Z KEEP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModeChoice {
    /// Stream mode, which every server has.
    #[default]
    Stream,
    /// This one where FEAT tells of it, which is then asked; else stream mode.
    Prefer(Mode),
    /// This one; where it is refused, transfers are.
    Insist(Mode),
}

/// Who connects the data connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteChoice {
    /// We do: EPSV, or PASV where that is not known or leads nowhere.
    #[default]
    Passive,
    /// The server does: EPRT, or PORT where that is not known.
    Active {
        /// Our address as the server sees it, where it is not the control connection's.
        address: Option<IpAddr>,
    },
}

/// What is sent before the answers to what was sent before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Commands that may be without an answer: 1 sends none ahead. At most [`limits::AHEAD_LIMIT_COMMANDS`].
    pub commands: usize,
    /// Bytes of them. At most [`limits::AHEAD_LIMIT_BYTES`].
    pub bytes: usize,
    /// Whether the data of an upload goes out before its mark, where data connections stay open. Only for servers that close
    /// the data connection of an upload that they refuse, as longshore does: others would take the bytes for the next
    /// file.
    pub data: bool,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead { commands: 1, bytes: limits::AHEAD_LIMIT_BYTES, data: false }
    }
}

/// Names one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a dialogue can be asked for. Names are bytes, as the server is to see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// USER, and PASS and ACCT where the server wants them. Answered by [`Answer::LoggedIn`].
    Login {
        /// The name.
        user: Vec<u8>,
        /// For PASS.
        password: Secret,
        /// For ACCT; few servers have one.
        account: Option<Secret>,
    },
    /// AUTH TLS, then PBSZ 0 and PROT P. Answered by [`Answer::Protected`]. From there on no transfer goes in clear:
    /// where PROT P was refused it is sent again before the first one, which is refused if it is refused again.
    StartTls,
    /// FEAT. Answered by [`Answer::Features`].
    Features,
    /// CWD. Answered by [`Answer::Done`].
    ChangeDirectory(Vec<u8>),
    /// PWD. Answered by [`Answer::Directory`].
    CurrentDirectory,
    /// MKD. Answered by [`Answer::Directory`].
    MakeDirectory(Vec<u8>),
    /// RMD. Answered by [`Answer::Done`].
    RemoveDirectory(Vec<u8>),
    /// DELE. Answered by [`Answer::Done`].
    RemoveFile(Vec<u8>),
    /// RNFR and RNTO. Answered by [`Answer::Done`].
    Rename {
        /// The old name.
        from: Vec<u8>,
        /// The new one.
        to: Vec<u8>,
    },
    /// SIZE in octets, by TYPE I. Answered by [`Answer::Size`].
    Size(Vec<u8>),
    /// MDTM. Answered by [`Answer::Modified`].
    Modified(Vec<u8>),
    /// MFMT. Answered by [`Answer::Done`].
    SetModified(Vec<u8>, UnixTime),
    /// LIST, MLSD or NLST. Answered by [`Answer::Moved`].
    List {
        /// Which form.
        form: ListForm,
        /// The directory; `None` is the current one.
        path: Option<Vec<u8>>,
    },
    /// RETR. Answered by [`Answer::Moved`].
    Retrieve {
        /// Which.
        path: Vec<u8>,
        /// The first octet wanted.
        offset: u64,
        /// TYPE and STRU.
        form: FileForm,
    },
    /// STOR, or APPE. Answered by [`Answer::Moved`].
    Store {
        /// Which.
        path: Vec<u8>,
        /// Where the first octet goes.
        start: StoreStart,
        /// TYPE and STRU.
        form: FileForm,
    },
    /// NOOP. Answered by [`Answer::Done`].
    Noop,
    /// QUIT, when everything before it is answered. Answered by [`Answer::Closed`].
    Quit,
    /// A line as it is. Answered by [`Answer::Done`], whatever the reply. What was set is set anew after it. Commands
    /// that move data, log in or begin TLS are refused.
    Raw(Vec<u8>),
}

/// How a list looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// As the server likes it: LIST.
    Long,
    /// Names: NLST.
    Names,
    /// Facts: MLSD, or LIST where that is not known. [`Answer::Moved`] says which it was.
    Facts,
}

/// TYPE and STRU of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileForm {
    /// TYPE.
    pub representation: Representation,
    /// STRU.
    pub structure: Structure,
}

/// Octets as they are.
impl Default for FileForm {
    fn default() -> FileForm {
        FileForm { representation: Representation::Image, structure: Structure::File }
    }
}

/// Where an upload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreStart {
    /// STOR, as a new file in place of an old one.
    Replace,
    /// REST, then STOR: at this octet. The data begins with this octet of the source.
    At(u64),
    /// APPE: at the end.
    Append,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done, and what the server said.
    Done(Reply),
    /// In, and what the server said.
    LoggedIn(Reply),
    /// TLS protects the control connection.
    Protected {
        /// Whether the server has taken PROT P already. Some take it after the login only.
        data: bool,
    },
    /// What the server offers.
    Features(Features),
    /// The path that the server named; for MKD the one that was asked for where it named none.
    Directory(Vec<u8>),
    /// Octets.
    Size(u64),
    /// A time.
    Modified(UnixTime),
    /// All of it has moved: the data connection ended as the mode wants it, and the server says so, too.
    Moved {
        /// The command that did it.
        verb: Verb,
        /// Bytes of the file.
        bytes: u64,
        /// What the server said last.
        reply: Reply,
    },
    /// The control connection is closed.
    Closed(Option<Reply>),
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server says no.
    #[error("the server refused {command} with {} {}", .reply.code, String::from_utf8_lossy(.reply.text()))]
    Replied {
        /// The command that it refused, which may be one that the request needed.
        command: &'static str,
        /// What it said.
        reply: Reply,
    },
    /// The server says yes in words that cannot be read.
    #[error("the answer to {command} cannot be read: {} {}", .reply.code, String::from_utf8_lossy(.reply.text()))]
    Unreadable {
        /// The command.
        command: &'static str,
        /// What it said.
        reply: Reply,
    },
    /// It cannot be asked for; nothing was sent.
    #[error("{0}")]
    Unsendable(#[from] Unsendable),
    /// The data connection could not be had.
    #[error("no data connection to {address}: {why}")]
    NoDataConnection {
        /// Where to, or where it was listened.
        address: SocketAddr,
        /// Why.
        why: ConnectFailure,
    },
    /// The transfer began and is not whole. Of an upload the server may have kept a part.
    #[error(
        "the transfer was cut after {bytes} bytes: {}{}",
        .end.as_ref().map_or_else(|| "no byte had moved".to_owned(), End::to_string),
        .reply.as_ref().map_or_else(String::new, |reply| {
            format!("; the server said {} {}", reply.code, String::from_utf8_lossy(reply.text()))
        }),
    )]
    Cut {
        /// Bytes of the file that moved on our side.
        bytes: u64,
        /// How the data connection ended; `None` where it was not used.
        end: Option<End>,
        /// What the server said of it; `None` where it only answered the ABOR.
        reply: Option<Reply>,
    },
    /// [`Dialogue::abort`] stopped it.
    #[error("aborted after {bytes} bytes")]
    Aborted {
        /// Bytes of the file that moved on our side.
        bytes: u64,
        /// What the server said of the transfer; a 2yz says that the ABOR came too late for an upload.
        reply: Option<Reply>,
    },
    /// The control connection was lost.
    #[error("{why}")]
    Lost {
        /// Whether the server may have done it.
        fate: Fate,
        /// How.
        why: Loss,
    },
}

/// What is known of a request whose answer did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server has not done it: it was not asked, or what it was asked had no effect.
    NotDone,
    /// Its command was sent, and the server may have done it.
    Unknown,
}

/// How a control connection was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The server closed it.
    #[error("the server closed the control connection without a word; reconnect")]
    Closed,
    /// It broke.
    #[error("the control connection broke; check the network, then reconnect")]
    Reset,
    /// The server said why: a 421, or a greeting that is none.
    #[error("the server ended the session: {} {}", .0.code, String::from_utf8_lossy(.0.text()))]
    Said(Reply),
    /// No reply came in time.
    #[error("the server did not answer within {seconds} s; check the network, then reconnect")]
    Silent {
        /// How long was waited.
        seconds: u64,
    },
    /// What came was no reply.
    #[error("{0}")]
    Unreadable(#[from] ReplyError),
    /// More replies than commands: nobody knows which is whose.
    #[error("the server sends replies that nothing asked for, the last was {}; reconnect", .0.code)]
    OutOfStep(Reply),
    /// Bytes stood behind the answer to AUTH that came in clear; anybody could have sent them.
    #[error("bytes in clear stood behind the answer to AUTH, which somebody else may have sent")]
    BytesBehind,
    /// TLS did not come about.
    #[error("TLS failed: {0}")]
    TlsFailed(String),
    /// QUIT was answered.
    #[error("the session was ended by QUIT; connect again")]
    Quit,
}

/// Everything that can happen to a dialogue.
#[derive(Debug)]
pub enum Input<'a> {
    /// A whole line came, cut by a [`line::Buffer`](crate::line::Buffer) of [`limits::REPLY_LINE_LIMIT_BYTES`].
    Line(crate::line::Line<'a>),
    /// The server will send nothing more.
    EndOfInput,
    /// The control connection is broken.
    Reset,
    /// The answer to [`Output::StartTls`].
    Tls(OperationId, TlsEvent),
    /// The answer to [`Output::Data`], or news of a data connection.
    Data(OperationId, DataEvent),
    /// The moment named by [`Dialogue::deadline`] has come (or passed, or not yet: the dialogue looks).
    Timeout,
}

/// What came of [`Output::StartTls`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsEvent {
    /// Nothing was begun: bytes stood behind the line that was handed in last.
    BytesBehind,
    /// TLS protects the control connection.
    Up,
    /// It will not; why.
    Failed(String),
}

/// Everything a dialogue can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this on the control connection.
    Send(CommandLine),
    /// Send this, the announcement of an ABOR: IAC IP in the stream, then IAC DM, the last byte as urgent data.
    SendSynch,
    /// Begin TLS on the control connection, with nothing in the line buffer: else [`TlsEvent::BytesBehind`] is the
    /// answer. Answered by [`Input::Tls`].
    StartTls(OperationId),
    /// Do this to a data connection. Answered by [`Input::Data`] where the operation says so.
    Data(OperationId, DataOp),
    /// A request is answered.
    Done(RequestId, Result<Answer, Refusal>),
    /// Tell whoever watches.
    Event(Event),
    /// Close the control connection. Nothing follows.
    Close,
}

/// What a dialogue asks of data connections. The id of `Connect` and `Listen` names the connection from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataOp {
    /// Connect. Answered by `Connected` or `Failed`.
    Connect(SocketAddr),
    /// Listen on any port of this address, and take one connection from the server's address when it comes. Answered by
    /// `Listening` or `Failed`.
    Listen(IpAddr),
    /// Send a file, from its beginning, also when it was begun before. Answered by `Moved`. In stream mode, the end is
    /// our end of the connection.
    Send(TransferJob),
    /// Receive a file; what an earlier job of the same request has received is void. Answered by `Moved`.
    Receive(TransferJob),
    /// End `Connect`, `Send` or `Receive` with this id, which then answers. An upload in stream mode that has not sent
    /// everything must end by a reset (under TLS: without close_notify), never by an end that looks like the file's. One
    /// that has answered meanwhile takes no notice.
    Cancel,
    /// Close the connection or listener with this id, in order, whether it stands or not; what has been received need not
    /// be read. Not answered, and neither is its `Connect` or `Listen` any more.
    Close,
    /// The same, and by a reset (under TLS: without close_notify): a transfer's command was sent for it whose bytes have
    /// not all moved, and an end in order would make a file of them, or of nothing. A job that runs answers.
    Reset,
}

/// What happens to data connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEvent {
    /// It stands.
    Connected,
    /// A listener stands, here.
    Listening(SocketAddr),
    /// Neither.
    Failed(ConnectFailure),
    /// The bytes have moved, or not. Where [`TransferJob::keeps_connection`] says so, the connection stays after
    /// [`End::Complete`].
    Moved {
        /// Bytes of the file.
        bytes: u64,
        /// How it ended.
        end: End,
    },
    /// News, by the id of the connection: the server has closed it while no job ran on it, and nothing
    /// stood before its end. Its id is void; a job that was
    /// asked for before this was handed in has moved nothing and ended by [`End::Reset`].
    Closed,
}

/// Why there is no data connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// [`DataOp::Cancel`] came first: no answer in time.
    #[error(
        "no answer in time; a firewall may block the port, or the server may name an address that is not its own"
    )]
    Cancelled,
    /// The port is closed.
    #[error("refused; nothing listens there, or a firewall rejects it")]
    Refused,
    /// Something else, in the system's words.
    #[error("{0}")]
    Other(String),
}

/// How the bytes of a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// All of it, in order, with the end that the mode has for a file.
    #[error("all bytes had moved")]
    Complete,
    /// The server or the network broke the data connection.
    #[error("the data connection broke")]
    Reset,
    /// No byte moved for the stall time-out.
    #[error("no byte moved in time")]
    Stalled,
    /// [`DataOp::Cancel`] or [`DataOp::Reset`] stopped it.
    #[error("it was stopped")]
    Cancelled,
    /// Our side could not read or write the file; why.
    #[error("on our side: {0}")]
    Local(String),
    /// What came breaks the rules of the mode or structure.
    #[error("what came breaks the rules of its mode: {0}")]
    Malformed(transmission::Error),
    /// TLS failed, or ended early; why.
    #[error("TLS: {0}")]
    Tls(String),
}

/// One transfer as a value: nothing of the dialogue is read after it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferJob {
    /// Whose bytes they are.
    pub request: RequestId,
    /// The data connection: the id of its `Connect` or `Listen`.
    pub connection: OperationId,
    /// The command.
    pub verb: Verb,
    /// The first octet of the file to move; 0 where the file is appended to.
    pub offset: u64,
    /// TYPE.
    pub representation: Representation,
    /// STRU.
    pub structure: Structure,
    /// MODE.
    pub mode: Mode,
    /// Whether the connection stays open behind the file; else what sends it ends it there.
    pub keeps_connection: bool,
    /// PROT. The first job on a connection begins its TLS.
    pub protection: Protection,
    /// Give up after so long without a byte.
    pub stall_timeout: Duration,
}

/// What whoever watches learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server has greeted.
    Greeting(Reply),
    /// A reply that nothing asked for was passed over.
    Unasked(Reply),
    /// This transfer lost its data connection to another's end and is asked for again; what the server said of it.
    AskedAgain(RequestId, Option<Reply>),
}
