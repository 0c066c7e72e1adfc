//! What a program asks of a server, and the answers.
//!
//! Not inside: how any of it is carried out ([`connection`](crate::connection)).

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use longshore_proto::client::{
    Answer, Dialogue, Fate, Features, FileForm, ListForm, Loss, Moment, Options, Refusal, Reply, Request,
    StoreStart,
};
use longshore_proto::command::Secret;
use longshore_proto::time::UnixTime;
use longshore_proto::verbs::Verb;
use longshore_tls::ClientSession;
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{Ask, Connection, Ended, Observer, Ticket, ends};
use crate::place::{Place, Sink, Source};

/// How a connection is made.
#[derive(Default)]
pub struct Setup {
    /// How the dialogue goes: modes, data connections, what is sent ahead, time-outs.
    pub options: Options,
    /// Whom TLS trusts. Without it, requests that need TLS are refused.
    pub tls: Option<ClientSession>,
    /// Who watches the control connection.
    pub observer: Option<Box<dyn Observer>>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("options", &self.options)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Asks for things on one control connection. Clones ask on the same one.
///
/// A request is asked for when its method is called, not when its answer is awaited: several that are asked for in a row
/// are carried out in that order, and where [`Options::ahead`] allows, without waiting for each other.
#[derive(Clone, Debug)]
pub struct Client {
    asks: mpsc::UnboundedSender<Ask>,
    tickets: Arc<AtomicU64>,
    ended: Arc<OnceLock<Loss>>,
}

/// Why there is no connection to a server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers, or says no.
    #[error(
        "no connection to {address}: {source}; is a server running there, and does a firewall let us through?"
    )]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error(
        "no answer from {address} within {seconds} s; the address may be wrong, or a firewall in between"
    )]
    Silent {
        /// Where.
        address: SocketAddr,
        /// How long was waited.
        seconds: u64,
    },
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server, the network or our own side was against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// [`Connection::run`] was dropped before there was an answer.
    #[error("the task of this control connection was ended before it answered")]
    Abandoned,
}

/// Connects. The first of what is given back asks for things, the second carries them out and must be run, as a rule by
/// `tokio::spawn(connection.run())`.
///
/// # Errors
/// [`ConnectError`]. What the server says comes later: where its greeting refuses us, every request is refused.
pub async fn connect(address: SocketAddr, setup: Setup) -> Result<(Client, Connection), ConnectError> {
    let Setup { options, tls, observer } = setup;
    let patience = options.connect_timeout;
    let attempt = async {
        let socket = TcpStream::connect(address).await?;
        longshore_net::prepare_control(&socket)?;
        let ends = ends(&socket)?;
        Ok((socket, ends))
    };
    let (socket, ends) = match tokio::time::timeout(patience, attempt).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(source)) => return Err(ConnectError::Connect { address, source }),
        Err(_) => return Err(ConnectError::Silent { address, seconds: patience.as_secs() }),
    };
    let (asks, asked) = mpsc::unbounded_channel();
    let dialogue = Dialogue::new(options, ends, Moment(Duration::ZERO));
    let ended = Arc::default();
    let connection =
        Connection::new(dialogue, socket, ends.peer.ip(), asked, tls, observer, Arc::clone(&ended));
    Ok((Client { asks, tickets: Arc::default(), ended }, connection))
}

impl Client {
    /// USER, and PASS where the server wants one.
    pub fn login(&self, user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Pending<Reply> {
        let request = Request::Login { user: user.into(), password: Secret(password.into()), account: None };
        self.ask(request)
    }

    /// AUTH TLS, and PBSZ and PROT P for the data connections. From here on nothing goes in clear.
    pub fn start_tls(&self) -> Pending<Protected> {
        self.ask(Request::StartTls)
    }

    /// FEAT.
    pub fn features(&self) -> Pending<Features> {
        self.ask(Request::Features)
    }

    /// CWD.
    pub fn change_directory(&self, path: impl Into<Vec<u8>>) -> Pending<Reply> {
        self.ask(Request::ChangeDirectory(path.into()))
    }

    /// PWD.
    pub fn current_directory(&self) -> Pending<Vec<u8>> {
        self.ask(Request::CurrentDirectory)
    }

    /// MKD; the answer is the path that the server names.
    pub fn make_directory(&self, path: impl Into<Vec<u8>>) -> Pending<Vec<u8>> {
        self.ask(Request::MakeDirectory(path.into()))
    }

    /// RMD.
    pub fn remove_directory(&self, path: impl Into<Vec<u8>>) -> Pending<Reply> {
        self.ask(Request::RemoveDirectory(path.into()))
    }

    /// DELE.
    pub fn remove_file(&self, path: impl Into<Vec<u8>>) -> Pending<Reply> {
        self.ask(Request::RemoveFile(path.into()))
    }

    /// RNFR and RNTO.
    pub fn rename(&self, from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Pending<Reply> {
        self.ask(Request::Rename { from: from.into(), to: to.into() })
    }

    /// SIZE, in octets.
    pub fn size(&self, path: impl Into<Vec<u8>>) -> Pending<u64> {
        self.ask(Request::Size(path.into()))
    }

    /// MDTM.
    pub fn modified(&self, path: impl Into<Vec<u8>>) -> Pending<UnixTime> {
        self.ask(Request::Modified(path.into()))
    }

    /// MFMT.
    pub fn set_modified(&self, path: impl Into<Vec<u8>>, time: UnixTime) -> Pending<Reply> {
        self.ask(Request::SetModified(path.into(), time))
    }

    /// NOOP.
    pub fn noop(&self) -> Pending<Reply> {
        self.ask(Request::Noop)
    }

    /// A command as it is; whatever the server says is the answer.
    pub fn raw(&self, command: impl Into<Vec<u8>>) -> Pending<Reply> {
        self.ask(Request::Raw(command.into()))
    }

    /// QUIT, when everything before it is answered.
    pub fn quit(&self) -> Pending<Option<Reply>> {
        self.ask(Request::Quit)
    }

    /// RETR of a whole file, octets as they are.
    pub fn retrieve<S: Sink>(&self, path: impl Into<Vec<u8>>, sink: S) -> Transfer<S> {
        self.retrieve_from(path, 0, FileForm::default(), sink)
    }

    /// RETR from this octet on, behind REST where it is not the first.
    pub fn retrieve_from<S: Sink>(
        &self,
        path: impl Into<Vec<u8>>,
        offset_bytes: u64,
        form: FileForm,
        sink: S,
    ) -> Transfer<S> {
        let request = Request::Retrieve { path: path.into(), offset: offset_bytes, form };
        self.transfer(request, Place::Sink(Box::new(sink)))
    }

    /// STOR of a whole file, octets as they are.
    pub fn store<S: Source>(&self, path: impl Into<Vec<u8>>, source: S) -> Transfer<S> {
        self.store_at(path, StoreStart::Replace, FileForm::default(), source)
    }

    /// STOR or APPE from this place on.
    pub fn store_at<S: Source>(
        &self,
        path: impl Into<Vec<u8>>,
        start: StoreStart,
        form: FileForm,
        source: S,
    ) -> Transfer<S> {
        let request = Request::Store { path: path.into(), start, form };
        self.transfer(request, Place::Source(Box::new(source)))
    }

    /// LIST, NLST or MLSD of a directory, or of the current one. The lines go to the sink as they come.
    pub fn list<S: Sink>(&self, form: ListForm, path: Option<Vec<u8>>, sink: S) -> Transfer<S> {
        self.transfer(Request::List { form, path }, Place::Sink(Box::new(sink)))
    }

    /// For what is asked after the end; `None` where the connection was dropped before it came to one.
    fn refusal(&self) -> Option<Refusal> {
        let why = self.ended.get()?.clone();
        Some(Refusal::Lost { fate: Fate::NotDone, why })
    }

    fn ask<T: Readable>(&self, request: Request) -> Pending<T> {
        let (sender, answer) = oneshot::channel();
        if let Err(SendError(Ask::Request(_, sender))) = self.asks.send(Ask::Request(request, sender))
            && let Some(refusal) = self.refusal()
        {
            let _ = sender.send(Err(refusal));
        }
        Pending { answer, what: PhantomData }
    }

    fn transfer<P>(&self, request: Request, place: Place) -> Transfer<P> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        let (sender, answer) = oneshot::channel();
        if let Err(SendError(Ask::Transfer(_, _, place, sender))) =
            self.asks.send(Ask::Transfer(ticket, request, place, sender))
            && let Some(refusal) = self.refusal()
        {
            let _ = sender.send(Ended { result: Err(refusal), place: Some(place) });
        }
        Transfer { answer, ticket, asks: self.asks.clone(), answered: false, what: PhantomData }
    }
}

/// What [`Client::start_tls`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected {
    /// Whether the server has taken PROT P already; some take it after the login only.
    pub data: bool,
}

/// What an answer is read as.
pub trait Readable: sealed::Sealed + Sized {
    /// `None` for an answer to something else.
    #[doc(hidden)]
    fn read(answer: Answer) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! readable {
    ($($type:ty: $pattern:pat => $value:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Readable for $type {
            fn read(answer: Answer) -> Option<$type> {
                match answer {
                    $pattern => Some($value),
                    _ => None,
                }
            }
        }
    )*};
}

readable! {
    Reply: Answer::Done(reply) | Answer::LoggedIn(reply) => reply;
    Protected: Answer::Protected { data } => Protected { data };
    Features: Answer::Features(features) => features;
    Vec<u8>: Answer::Directory(path) => path;
    u64: Answer::Size(octets) => octets;
    UnixTime: Answer::Modified(time) => time;
    Option<Reply>: Answer::Closed(reply) => reply;
}

/// The answer to a request, when it comes. Dropped, the request is carried out all the same.
#[derive(Debug)]
#[must_use = "the request is carried out, but nobody learns whether it was done"]
pub struct Pending<T> {
    answer: oneshot::Receiver<Result<Answer, Refusal>>,
    what: PhantomData<fn() -> T>,
}

impl<T: Readable> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        Poll::Ready(match ready!(Pin::new(&mut self.answer).poll(context)) {
            Ok(Ok(answer)) => Ok(T::read(answer).expect("each request has its own kind of answer")),
            Ok(Err(refusal)) => Err(refusal.into()),
            Err(_) => Err(Error::Abandoned),
        })
    }
}

/// A transfer that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved<P> {
    /// The source or sink.
    pub place: P,
    /// The command that did it.
    pub verb: Verb,
    /// Octets of the file that moved.
    pub bytes: u64,
    /// What the server said last.
    pub reply: Reply,
}

/// A transfer that did not go well.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct TransferError<P> {
    /// The source or sink with what it has got; `None` where the connection's task took it along.
    pub place: Option<P>,
    /// Why.
    #[source]
    pub error: Error,
}

/// A transfer; it is begun when its turn comes, and answers when both sides have said how it ended.
///
/// Dropped before, it is aborted.
#[derive(Debug)]
#[must_use = "a transfer that nobody waits for is aborted"]
pub struct Transfer<P> {
    answer: oneshot::Receiver<Ended>,
    ticket: Ticket,
    asks: mpsc::UnboundedSender<Ask>,
    answered: bool,
    what: PhantomData<fn() -> P>,
}

impl<P> Transfer<P> {
    /// Stops it, if it has not ended: the answer, which is still to be awaited, is then [`Refusal::Aborted`].
    pub fn abort(&self) {
        // Where the connection's task is gone, so is the transfer.
        let _ = self.asks.send(Ask::Abort(self.ticket));
    }
}

impl<P: 'static> Future for Transfer<P> {
    type Output = Result<Moved<P>, TransferError<P>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.answer).poll(context));
        self.answered = true;
        let Ok(Ended { result, place }) = ended else {
            return Poll::Ready(Err(TransferError { place: None, error: Error::Abandoned }));
        };
        let place = place.and_then(Place::into_inner);
        Poll::Ready(match (result, place) {
            (Ok(Answer::Moved { verb, bytes, reply }), Some(place)) => {
                Ok(Moved { place, verb, bytes, reply })
            }
            (Err(refusal), place) => Err(TransferError { place, error: refusal.into() }),
            (Ok(answer), _) => unreachable!("a transfer was answered by {answer:?}"),
        })
    }
}

impl<P> Drop for Transfer<P> {
    fn drop(&mut self) {
        if !self.answered {
            self.abort();
        }
    }
}
