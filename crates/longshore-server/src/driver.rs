//! The loop of one session: what happens goes in, what it asks for is carried out.
//!
//! Not inside: any decision about the protocol. The loop holds the sockets and open files by operation, and keeps
//! the rules of waiting: replies are flushed before every wait, nothing is read while the session takes nothing,
//! and other sessions get their turn after [`COMMANDS_PER_TURN`] commands.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use longshore_accounts::{Rejection, Verdict};
use longshore_net::{PeerRule, ReserveError, Urgency};
use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::line;
use longshore_proto::reply::Situation;
use longshore_proto::server::{
    self, Connection, DataEvent, DataOp, Input, Moment, OperationId, Output, Session, StorageOp,
    StorageOutcome, Takes, TlsEvent, TransferJob,
};
use longshore_proto::verbs::Verb;
use tokio::net::TcpStream;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep};

use crate::convert::{self, Opened, Performed, Tenant};
use crate::data::{self, Cancel, DataConnection};
use crate::events::{Event, EventKind, SessionName, Speaker};
use crate::limits::{COMMANDS_PER_TURN, CONTROL_UNSENT_LIMIT_BYTES, CONTROL_WRITE_TIMEOUT, LINGER};
use crate::link::Link;
use crate::listener::ListenerOptions;
use crate::server::{Active, Phase, Shared};
use crate::trace;
use crate::transfer::{self, Hands, Markers, Moved};
use crate::unsent::Unsent;

mod login;
mod shield;
mod waiting;

use shield::Shield;

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// One session and all it holds.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// The configuration that this session began with.
    active: Arc<Active>,
    number: u64,
    stream: Arc<TcpStream>,
    started: Instant,
    session: Session,
    shield: Shield,
    lines: line::Buffer,
    unsent: Unsent,
    tenant: Option<Arc<Tenant>>,
    /// The one login or operation of storage under way.
    work: Pending<Done>,
    data: DataConnection,
    transfer: Transfer,
    reading: Reading,
    /// The session has said its last.
    closing: bool,
    /// Commands may wait that would have begun, had others not waited, too.
    turn_is_over: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// What the running transfer holds.
#[derive(Default)]
struct Transfer {
    opened: Opened,
    opened_at: Option<Instant>,
    link: Option<Box<Link>>,
    running: Pending<(OperationId, Arrived)>,
    /// The operation that moves bytes.
    moving: OperationId,
    // These are there while something runs: a session that waits holds none of them.
    cancel: Option<Cancel>,
    moved: Option<Arc<AtomicU64>>,
    markers: Option<Markers>,
    cause: Option<String>,
}

/// What came of an operation on the data connection.
enum Arrived {
    Attempt(data::Attempt),
    Moved(Moved),
}

/// What came of a login or an operation of storage.
enum Done {
    Login { id: OperationId, verdict: Verdict, active: Arc<Active> },
    Storage { id: OperationId, performed: Performed },
}

/// The state of reading from the control connection.
struct Reading {
    /// How far from its end the server was when the session was told of it last.
    phase: Phase,
    /// Ready when that may have changed.
    nearer: Option<Pin<Box<OwnedNotified>>>,
    /// What USER said last, while somebody's dialogue is traced.
    named: Option<Vec<u8>>,
    ended: bool,
    /// It ended by a fault of TLS, of which the session is told when it has all that came before.
    failed: bool,
    /// The session was told of the end.
    told: bool,
    /// Commands wait because too many answers were unsent.
    held_back: bool,
    urgent: Pending<io::Result<Urgency>>,
    rejection: Option<Rejection>,
}

/// What ended a wait.
enum Happening {
    /// Lines may stand in the buffer.
    Read,
    EndOfInput,
    Reset,
    Urgent,
    Tls(OperationId, TlsEvent),
    Work(Done),
    /// Restart markers came in the transfer of this operation.
    Markers(OperationId),
    Data(OperationId, Arrived),
    Timeout,
    Phase(Phase),
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        active: Arc<Active>,
        number: u64,
        stream: Arc<TcpStream>,
        connection: Connection,
        options: ListenerOptions,
    ) -> Driver {
        let policy = active.policy_for(&connection, &options);
        let peer_rule =
            if policy.foreign_addresses { PeerRule::Anyone } else { PeerRule::Exactly(connection.peer.ip()) };
        let data = DataConnection::new(active.passive.clone(), peer_rule);
        Driver {
            session: Session::new(policy, connection, Moment::default()),
            shield: Shield::new(options, active.config.tls_rules()),
            shared,
            active,
            number,
            stream,
            started: Instant::now(),
            lines: line::Buffer::new(LINE_LIMIT_BYTES),
            unsent: Unsent::default(),
            tenant: None,
            work: None,
            data,
            transfer: Transfer::default(),
            reading: Reading {
                phase: Phase::Serving,
                nearer: None,
                named: None,
                ended: false,
                failed: false,
                told: false,
                held_back: false,
                urgent: None,
                rejection: None,
            },
            closing: false,
            turn_is_over: false,
            sleep: None,
        }
    }

    /// Runs the session to its end.
    pub(crate) async fn run(&mut self) {
        self.tell(EventKind::Connected);
        self.carry_out();
        while !self.closing {
            if self.feed_lines() || self.turn_is_over {
                tokio::task::yield_now().await;
            } else if !self.closing {
                let happening = poll_fn(|context| self.poll(context)).await;
                self.take_in(happening);
            }
            self.carry_out();
        }
        // Boxed, so that a session that waits does not carry the room for its end.
        Box::pin(self.say_the_rest()).await;
    }

    /// Whether a last word can be said as it is.
    pub(crate) fn speaks_clear(&self) -> bool {
        self.shield.speaks_clear()
    }

    fn now(&self) -> Moment {
        Moment(self.started.elapsed())
    }

    pub(crate) fn stream(&self) -> Arc<TcpStream> {
        self.stream.clone()
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub(crate) fn name(&self) -> SessionName {
        let account = self.tenant.as_ref().map(|tenant| tenant.crew.0.name.clone());
        SessionName { number: self.number, peer: self.session.connection().peer, account }
    }

    fn tell(&self, kind: EventKind) {
        self.shared.observer.observe(&Event { session: Some(self.name()), kind });
    }

    fn hand_in(&mut self, input: Input<'_>) {
        let now = self.now();
        self.session.handle(now, input);
    }

    fn take_in(&mut self, happening: Happening) {
        match happening {
            Happening::Read => {}
            Happening::EndOfInput => self.hand_in(Input::EndOfInput),
            Happening::Reset => self.hand_in(Input::Reset),
            Happening::Urgent => self.hand_in(Input::Urgent),
            Happening::Tls(id, event) => self.hand_in(Input::Tls(id, event)),
            Happening::Timeout => self.hand_in(Input::Timeout),
            Happening::Phase(Phase::Ending) => self.hand_in(Input::Shutdown),
            Happening::Phase(_) => self.hand_in(Input::Drain),
            Happening::Work(Done::Login { id, verdict, active }) => {
                let outcome = self.logged_in(verdict, &active);
                self.hand_in(Input::Login(id, outcome));
            }
            Happening::Work(Done::Storage { id, performed }) => {
                let Performed { outcome, opened, cause } = performed;
                self.transfer.opened = opened;
                if let Some(cause) = cause {
                    self.tell(EventKind::StorageFailed { cause: cause.clone() });
                    self.transfer.cause = Some(cause);
                }
                self.hand_in(Input::Storage(id, outcome));
            }
            Happening::Markers(id) => self.hand_in_markers(id),
            Happening::Data(id, arrived) => {
                self.hand_in_markers(id);
                (self.transfer.cancel, self.transfer.moved, self.transfer.markers) = (None, None, None);
                let event = match arrived {
                    Arrived::Attempt(data::Attempt::Connected(link)) => {
                        self.transfer.link = Some(Box::new(link));
                        DataEvent::Established
                    }
                    Arrived::Attempt(data::Attempt::Unproved(link, why)) => {
                        self.unproved(&why);
                        self.transfer.link = Some(Box::new(link));
                        DataEvent::Established
                    }
                    Arrived::Attempt(data::Attempt::Failed(failure, cause)) => {
                        self.transfer.cause = cause;
                        DataEvent::NotEstablished(failure)
                    }
                    Arrived::Moved(Moved { bytes, end, cause, opened, no_close_notify, kept }) => {
                        if let Some(path) = no_close_notify {
                            self.tell(EventKind::NoCloseNotify { path });
                        }
                        self.transfer.opened = opened;
                        self.transfer.cause = cause;
                        let is_kept = kept.is_some();
                        if let Some(link) = kept {
                            self.data.keep(link);
                        }
                        DataEvent::Finished { bytes, end, kept: is_kept }
                    }
                };
                self.hand_in(Input::Data(id, event));
            }
        }
    }

    fn hand_in_markers(&mut self, id: OperationId) {
        let markers = self.transfer.markers.as_ref().map(Markers::take).unwrap_or_default();
        for (marker, offset) in markers {
            // They can come faster than any client reads: whoever does not read answers has no use for these either.
            if self.unsent.len() < CONTROL_UNSENT_LIMIT_BYTES {
                self.hand_in(Input::Data(id, DataEvent::Marker { marker, offset }));
                self.carry_out();
            }
        }
    }

    /// Carries out what the session asks for. Commands that wait begin only while the client reads its answers and
    /// other sessions have had their turn.
    fn carry_out(&mut self) {
        let mut answers = 0;
        loop {
            let congested = self.unsent.len() >= CONTROL_UNSENT_LIMIT_BYTES;
            self.turn_is_over = answers >= COMMANDS_PER_TURN;
            self.reading.held_back = congested;
            self.session.hold(congested || self.turn_is_over);
            let Some(output) = self.session.next() else { return };
            match output {
                Output::Reply(reply) => {
                    answers += 1;
                    self.say(&reply);
                }
                Output::StartTls(id, reply) => self.start_tls(id, reply.as_ref()),
                Output::StopTls(reply) => self.stop_tls(&reply),
                Output::Login(id, request) => self.begin_login(id, request),
                Output::Logout => {
                    self.tenant = None;
                    self.shield.set_rules(self.shield.base(self.active.config.tls_rules()));
                }
                Output::Storage(id, op) => self.begin_storage(id, op),
                Output::Data(id, op) => self.begin_data(id, op),
                Output::Event(event) => self.pass_on(event),
                Output::Close => self.closing = true,
            }
        }
    }

    fn begin_storage(&mut self, id: OperationId, op: StorageOp) {
        if matches!(
            op,
            StorageOp::OpenRetrieve { .. } | StorageOp::OpenListing { .. } | StorageOp::OpenUpload { .. }
        ) {
            self.transfer.opened_at = Some(Instant::now());
            // What an earlier command failed of is not told of this one.
            self.transfer.cause = None;
        }
        let opened = std::mem::take(&mut self.transfer.opened);
        let shared = self.shared.clone();
        let Some(tenant) = self.tenant.clone() else {
            // The session asks for files only when somebody is logged in.
            let performed = Performed {
                outcome: StorageOutcome::Failed(longshore_proto::verbs::Failure::NoPermission),
                opened: Opened::Nothing,
                cause: None,
            };
            self.work = Some(Box::pin(async move { Done::Storage { id, performed } }));
            return;
        };
        self.work = Some(Box::pin(async move {
            let performed = convert::perform(&tenant, &shared.pool, op, opened).await;
            Done::Storage { id, performed }
        }));
    }

    fn begin_data(&mut self, id: OperationId, op: DataOp) {
        let event = match op {
            DataOp::Reserve => match self.data.reserve(self.session.connection().local, self.shield.near()) {
                Ok(port) => DataEvent::Reserved(port),
                Err(error) => {
                    self.tell(EventKind::NetworkFailed { cause: error.to_string() });
                    match error {
                        ReserveError::Exhausted { .. } => DataEvent::NoPort,
                        _ => DataEvent::NoResources,
                    }
                }
            },
            DataOp::Release => {
                self.data.release();
                return;
            }
            DataOp::Probe => self.data.probe(),
            DataOp::Establish(channel) => {
                let terms = self.shield.terms(channel.direction);
                let (local, cancel) = (self.session.connection().local, Cancel::default());
                match self.data.establish(local, channel, terms, cancel.clone()) {
                    Ok(link) => {
                        self.transfer.link = Some(Box::new(link));
                        DataEvent::Established
                    }
                    Err(connecting) => {
                        self.transfer.cancel = Some(cancel);
                        self.transfer.running =
                            Some(Box::pin(async move { (id, Arrived::Attempt(connecting.await)) }));
                        return;
                    }
                }
            }
            DataOp::Move(job) => return self.begin_move(id, job),
            DataOp::Progress => {
                let moved = self.transfer.moved.as_ref();
                DataEvent::Progress(moved.map_or(0, |moved| moved.load(Ordering::Relaxed)))
            }
            DataOp::Cancel => {
                self.transfer.cancel.iter().for_each(Cancel::cancel);
                return;
            }
        };
        self.hand_in(Input::Data(id, event));
    }

    fn begin_move(&mut self, id: OperationId, job: TransferJob) {
        let (Some(link), Some(tenant)) = (self.transfer.link.take(), self.tenant.clone()) else {
            let end = server::End::Reset;
            return self.hand_in(Input::Data(id, DataEvent::Finished { bytes: 0, end, kept: false }));
        };
        let opened = std::mem::take(&mut self.transfer.opened);
        let hands = Hands {
            pool: self.shared.pool.clone(),
            cancel: self.transfer.cancel.insert(Cancel::default()).clone(),
            moved: self.transfer.moved.insert(Arc::default()).clone(),
            throttle: tenant.throttle(job.direction, &self.shared),
            ends: self.shield.ends(&job),
            deflate: self.active.config.deflate.unwrap_or_default(),
            markers: self.transfer.markers.insert(Markers::default()).clone(),
        };
        self.transfer.moving = id;
        self.transfer.running = Some(Box::pin(async move {
            (id, Arrived::Moved(transfer::run(job, *link, opened, tenant, hands).await))
        }));
    }

    /// Tells the lines of a reply that has just been written.
    fn trace_reply(&self, bytes: &[u8], situation: Situation) {
        let name = self.name();
        if !self.shared.trace.covers(&name, self.reading.named.as_deref()) {
            return;
        }
        let bytes = match trace::echoes(situation) {
            false => bytes.to_vec(),
            true => format!("{} {} ***", situation.code(), situation.id()).into_bytes(),
        };
        for line in bytes.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                self.tell(EventKind::Dialogue { speaker: Speaker::Server, line: line.to_vec() });
            }
        }
    }

    fn pass_on(&mut self, event: server::Event) {
        let kind = match event {
            server::Event::LoggedIn { .. } => EventKind::LoggedIn,
            server::Event::LoginRefused { user, situation } => {
                EventKind::LoginRefused { user, reason: self.reading.rejection.take(), situation }
            }
            server::Event::ClientNamed { name } => EventKind::ClientNamed { name },
            server::Event::Changed { verb, path, to } => EventKind::Changed { verb, path, to },
            server::Event::Ended { why } => EventKind::Ended { why },
            server::Event::TransferEnded {
                verb,
                path,
                representation,
                protection,
                offset,
                bytes,
                situation,
            } => {
                if situation == Situation::TransferShutdown {
                    self.shared.cut.fetch_add(1, Ordering::Relaxed);
                }
                let Some(direction) = verb.row().transfer else { return };
                let began = self.transfer.opened_at.take();
                let duration = began.map_or(Duration::ZERO, |began| began.elapsed());
                let cause = self.transfer.cause.take();
                EventKind::Transfer {
                    verb,
                    direction,
                    path,
                    representation,
                    protection,
                    offset,
                    bytes,
                    duration,
                    situation,
                    cause,
                }
            }
        };
        self.tell(kind);
    }

    /// Hands in the lines that stand in the buffer, as long as the session takes them; whether it is time to let
    /// others have their turn.
    fn feed_lines(&mut self) -> bool {
        let mut fed = 0;
        while self.session.takes() == Takes::Lines
            && !self.closing
            && self.unsent.len() < CONTROL_UNSENT_LIMIT_BYTES
        {
            if fed == COMMANDS_PER_TURN {
                return true;
            }
            let now = Moment(self.started.elapsed());
            let Some(line) = self.lines.next_line() else { break };
            if self.shared.trace.any()
                && let line::Line::Command(command) = &line
            {
                let (shown, verb) = trace::shown(command);
                if verb == Some(Verb::User) {
                    self.reading.named = Some(longshore_proto::command::split(command).1.to_vec());
                }
                let account = self.tenant.as_ref().map(|tenant| tenant.crew.0.name.clone());
                let name = SessionName { number: self.number, peer: self.session.connection().peer, account };
                if self.shared.trace.covers(&name, self.reading.named.as_deref()) {
                    let kind = EventKind::Dialogue { speaker: Speaker::Client, line: shown };
                    self.shared.observer.observe(&Event { session: Some(name), kind });
                }
            }
            self.session.handle(now, Input::Line(line));
            fed += 1;
            // Between two lines, for the answer to STAT must not wait behind the next one.
            self.carry_out();
        }
        false
    }

    /// Sends what is unsent and ends the connection so that the client reads all of it.
    async fn say_the_rest(&mut self) {
        self.data.release();
        self.transfer = Transfer::default();
        self.shield.close(self.unsent.end());
        let stream = &self.stream;
        let flushed = poll_fn(|context| match self.unsent.poll_flush(stream, context) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) if self.unsent.len() == 0 => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
        });
        // Whoever does not read has had its time.
        let Ok(Ok(())) = tokio::time::timeout(CONTROL_WRITE_TIMEOUT, flushed).await else { return };
        if self.reading.ended || longshore_net::end_output(stream).is_err() {
            return;
        }
        // Closing over unread bytes would be a reset, and the client might never see the last reply.
        let _ = tokio::time::timeout(LINGER, poll_fn(|context| read_away(stream, context))).await;
    }
}

/// Ready when the client has closed.
fn read_away(stream: &TcpStream, context: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [0; 1024];
    while let Poll::Ready(ready) = stream.poll_read_ready(context) {
        let read = ready.and_then(|()| stream.try_read(&mut bytes));
        match read {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return Poll::Ready(()),
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

    fn future_size<'a, F: Future>(_: impl FnOnce(&'a mut Driver) -> F) -> usize {
        size_of::<F>()
    }

    /// The figure of this row in ARCHITECTURE.md.
    fn row_bytes(row: &str) -> usize {
        let line = ARCHITECTURE.lines().find(|line| line.starts_with(&format!("| {row} |")));
        let line = line.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row {row:?}"));
        let figure = line.split('|').nth(2).expect("a second column").trim().replace(',', "");
        figure.parse().unwrap_or_else(|_| panic!("{figure:?} in the row {row:?} is no number"))
    }

    #[track_caller]
    fn check(row: &str, bytes: usize) {
        let limit = row_bytes(row);
        assert!(bytes <= limit, "{row}: {bytes} bytes; ARCHITECTURE.md says {limit}");
        assert!(bytes + 64 >= limit, "{row}: only {bytes} bytes; ARCHITECTURE.md says {limit}");
    }

    /// Thousands of sessions wait at the same time: what each carries is counted, and buffers are not among it. The whole is
    /// counted in `tests/idle_memory.rs`.
    #[test]
    fn a_session_that_waits_is_small() {
        const COUNTS: usize = 2 * size_of::<usize>();
        check("the driver, with the state of the protocol and of TLS rules", size_of::<Driver>());
        check("what the login left: limits of bandwidth, the store of files", size_of::<Tenant>() + COUNTS);
        check("the timer of its next deadline", size_of::<Sleep>());
        check("where it hears that the server ends", size_of::<OwnedNotified>());
        check("the socket", size_of::<TcpStream>() + COUNTS);
        assert!(future_size(Driver::run) <= 64, "{}", future_size(Driver::run));
    }
}
