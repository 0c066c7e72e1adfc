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

use longshore_accounts::{Account, Attempt, Rejection, Verdict};
use longshore_net::{DataSocket, PeerRule, ReserveError, Urgency};
use longshore_proto::command::Representation;
use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::line;
use longshore_proto::reply::Situation;
use longshore_proto::server::{
    self, Connection, DataEvent, DataOp, Input, LoginOutcome, Moment, OperationId, Output, Session,
    StorageOp, StorageOutcome, Takes, TransferJob,
};
use longshore_proto::verbs::{Direction, Verb};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::bandwidth::{Rate, Throttle};
use crate::convert::{self, Opened, Performed, Tenant};
use crate::data::{self, Cancel, DataConnection};
use crate::events::{Event, EventKind, SessionName, Speaker};
use crate::limits::{
    COMMANDS_PER_TURN, CONTROL_READ_BYTES, CONTROL_UNSENT_LIMIT_BYTES, CONTROL_WRITE_TIMEOUT, LINGER,
};
use crate::server::{Active, Phase, Shared};
use crate::trace;
use crate::transfer::{self, Hands, Moved};
use crate::unsent::Unsent;

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// One session and all it holds.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// The configuration that this session began with.
    active: Arc<Active>,
    number: u64,
    stream: Arc<TcpStream>,
    connection: Connection,
    started: Instant,
    session: Session,
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
    socket: Option<DataSocket>,
    /// The session's own limits of bandwidth, up and down.
    upload: Arc<Rate>,
    download: Arc<Rate>,
    running: Pending<(OperationId, Arrived)>,
    cancel: Cancel,
    moved: Arc<AtomicU64>,
    representation: Representation,
    cause: Option<String>,
}

/// What came of an operation on the data connection.
enum Arrived {
    Attempt(data::Attempt),
    Moved(Moved),
}

/// What came of a login or an operation of storage.
enum Done {
    Login { id: OperationId, verdict: Verdict },
    Storage { id: OperationId, performed: Performed },
}

/// The state of reading from the control connection.
struct Reading {
    /// Ready when the server comes nearer to its end.
    shutdown: Pending<Phase>,
    /// What USER said last, while somebody's dialogue is traced.
    named: Option<Vec<u8>>,
    ended: bool,
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
    Work(Done),
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
    ) -> Driver {
        let shutdown = Some(beyond(&shared, Phase::Serving));
        let policy = active.policy_for(&connection);
        let peer_rule =
            if policy.foreign_addresses { PeerRule::Anyone } else { PeerRule::Exactly(connection.peer.ip()) };
        let data = DataConnection::new(active.passive.clone(), connection.local, peer_rule);
        Driver {
            session: Session::new(policy, connection, Moment::default()),
            shared,
            active,
            number,
            stream,
            connection,
            started: Instant::now(),
            lines: line::Buffer::new(LINE_LIMIT_BYTES),
            unsent: Unsent::default(),
            tenant: None,
            work: None,
            data,
            transfer: Transfer::default(),
            reading: Reading {
                shutdown,
                named: None,
                ended: false,
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

    fn now(&self) -> Moment {
        Moment(self.started.elapsed())
    }

    fn name(&self) -> SessionName {
        let account = self.tenant.as_ref().map(|tenant| tenant.crew.0.name.clone());
        SessionName { number: self.number, peer: self.connection.peer, account }
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
            Happening::Timeout => self.hand_in(Input::Timeout),
            Happening::Phase(Phase::Ending) => self.hand_in(Input::Shutdown),
            Happening::Phase(_) => {
                self.reading.shutdown = Some(beyond(&self.shared, Phase::Draining));
                self.hand_in(Input::Drain);
            }
            Happening::Work(Done::Login { id, verdict }) => {
                let outcome = self.logged_in(verdict);
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
            Happening::Data(id, arrived) => {
                let event = match arrived {
                    Arrived::Attempt(data::Attempt::Connected(socket)) => {
                        self.transfer.socket = Some(socket);
                        DataEvent::Established
                    }
                    Arrived::Attempt(data::Attempt::Failed(failure)) => DataEvent::NotEstablished(failure),
                    Arrived::Moved(Moved { bytes, end, cause, opened }) => {
                        self.transfer.opened = opened;
                        self.transfer.cause = cause;
                        DataEvent::Finished { bytes, end }
                    }
                };
                self.hand_in(Input::Data(id, event));
            }
        }
    }

    fn logged_in(&mut self, verdict: Verdict) -> LoginOutcome {
        let rejection = match verdict.and_then(|account| self.settle_in(account)) {
            Ok(outcome) => return outcome,
            Err(rejection) => rejection,
        };
        self.reading.rejection = Some(rejection);
        if !rejection.is_guess() {
            return LoginOutcome::Rejected { earlier: 0 };
        }
        let (address, active) = (self.connection.peer.ip(), self.shared.active());
        let limits = &active.config.limits;
        let failed = self.shared.defence.login_failed(address, limits, Instant::now());
        if failed.banned {
            self.tell(EventKind::Banned { address, duration: limits.ban });
        }
        LoginOutcome::Rejected { earlier: failed.earlier }
    }

    /// An account whose password was right: finds its files, its place among its sessions, and its limits.
    fn settle_in(&mut self, account: Account) -> Result<LoginOutcome, Rejection> {
        let active = self.shared.active();
        let backend = active.config.trees.of(&account).ok_or(Rejection::Unavailable)?;
        let crew = self.shared.seats.join(&account)?;
        let (limits, rates) = (&account.limits, &active.config.limits.rates);
        let either = |own: Option<u64>, all: Option<std::num::NonZeroU64>| own.or(all.map(Into::into));
        self.transfer.upload.set(either(limits.session_upload_bytes_per_second, rates.session_upload));
        self.transfer.download.set(either(limits.session_download_bytes_per_second, rates.session_download));
        let outcome = LoginOutcome::Accepted {
            account: account.name.clone(),
            directory: account.directory.clone(),
            quota: limits.quota_bytes.is_some() || limits.quota_files.is_some(),
        };
        let durability = active.config.durability;
        self.tenant = Some(Arc::new(Tenant { account, crew, backend, durability }));
        Ok(outcome)
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
                    let begin = self.unsent.end().len();
                    reply.write(self.active.config.texts.as_ref(), self.unsent.end());
                    if self.shared.trace.any() {
                        self.trace_reply(begin, reply.situation);
                    }
                }
                Output::Login(id, request) => {
                    let peer = self.connection.peer.ip();
                    let active = self.shared.active();
                    let banned = self.shared.defence.banned(peer, &active.config.limits, Instant::now());
                    if let Some(left) = banned {
                        let seconds = left.as_secs().max(1);
                        self.hand_in(Input::Login(id, LoginOutcome::Banned { seconds }));
                        continue;
                    }
                    let attempt = Attempt {
                        week_minute: convert::week_minute(convert::now()),
                        ..Attempt::new(request.user, request.password.0, peer)
                    };
                    let shared = self.shared.clone();
                    self.work = Some(Box::pin(async move {
                        let answer = active.config.accounts.authenticate(attempt);
                        let verdict = shared.pool.judge(answer).await;
                        Done::Login { id, verdict }
                    }));
                }
                Output::Logout => self.tenant = None,
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
            DataOp::Reserve => match self.data.reserve() {
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
            DataOp::Establish(route) => {
                self.transfer.cancel = Cancel::default();
                match self.data.establish(route, self.transfer.cancel.clone()) {
                    Ok(socket) => {
                        self.transfer.socket = Some(socket);
                        DataEvent::Established
                    }
                    Err(connecting) => {
                        self.transfer.running =
                            Some(Box::pin(async move { (id, Arrived::Attempt(connecting.await)) }));
                        return;
                    }
                }
            }
            DataOp::Move(job) => return self.begin_move(id, job),
            DataOp::Progress => DataEvent::Progress(self.transfer.moved.load(Ordering::Relaxed)),
            DataOp::Cancel => {
                self.transfer.cancel.cancel();
                return;
            }
        };
        self.hand_in(Input::Data(id, event));
    }

    fn begin_move(&mut self, id: OperationId, job: TransferJob) {
        let (Some(socket), Some(tenant)) = (self.transfer.socket.take(), self.tenant.clone()) else {
            let end = server::End::Reset;
            return self.hand_in(Input::Data(id, DataEvent::Finished { bytes: 0, end }));
        };
        let opened = std::mem::take(&mut self.transfer.opened);
        let moved = Arc::new(AtomicU64::new(0));
        self.transfer.moved = moved.clone();
        self.transfer.cancel = Cancel::default();
        let hands = Hands {
            pool: self.shared.pool.clone(),
            cancel: self.transfer.cancel.clone(),
            moved,
            throttle: self.throttle(job.direction, &tenant),
        };
        self.transfer.representation = job.representation;
        self.transfer.running = Some(Box::pin(async move {
            (id, Arrived::Moved(transfer::run(job, socket, opened, tenant, hands).await))
        }));
    }

    /// All limits of bandwidth that hold for a transfer.
    fn throttle(&self, direction: Direction, tenant: &Tenant) -> Throttle {
        let crew = &tenant.crew.0;
        match direction {
            Direction::Receive => Throttle::of([&self.transfer.upload, &crew.upload, &self.shared.upload]),
            Direction::Send => Throttle::of([&self.transfer.download, &crew.download, &self.shared.download]),
        }
    }

    /// Tells the lines of a reply that has just been written.
    fn trace_reply(&mut self, begin: usize, situation: Situation) {
        let name = self.name();
        if !self.shared.trace.covers(&name, self.reading.named.as_deref()) {
            return;
        }
        let bytes = trace::shown_reply(situation, &self.unsent.end()[begin..]);
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
            server::Event::TransferEnded { verb, path, offset, bytes, situation } => {
                let Some(direction) = verb.row().transfer else { return };
                let began = self.transfer.opened_at.take();
                let duration = began.map_or(Duration::ZERO, |began| began.elapsed());
                let cause = self.transfer.cause.take();
                let representation = self.transfer.representation;
                EventKind::Transfer {
                    verb,
                    direction,
                    path,
                    representation,
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
                let name = SessionName { number: self.number, peer: self.connection.peer, account };
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

    /// Waits for the first thing that happens.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(done) = work.as_mut().poll(context)
        {
            self.work = None;
            return Poll::Ready(Happening::Work(done));
        }
        if let Some(running) = &mut self.transfer.running
            && let Poll::Ready((id, arrived)) = running.as_mut().poll(context)
        {
            self.transfer.running = None;
            return Poll::Ready(Happening::Data(id, arrived));
        }
        // From here on it is a wait: nobody shall wait for a reply meanwhile.
        if self.unsent.poll_flush(&self.stream, context).is_err() {
            self.unsent.clear();
            // A client that has already closed does not hear us, which ends nothing that it asked for.
            if !self.reading.ended {
                return self.broken();
            }
        }
        if self.reading.held_back && self.unsent.len() < CONTROL_UNSENT_LIMIT_BYTES {
            // The client may wait for these answers before it sends a byte more.
            return Poll::Ready(Happening::Read);
        }
        if let Poll::Ready(happening) = self.poll_control(context) {
            return Poll::Ready(happening);
        }
        if let Some(shutdown) = &mut self.reading.shutdown
            && let Poll::Ready(phase) = shutdown.as_mut().poll(context)
        {
            self.reading.shutdown = None;
            return Poll::Ready(Happening::Phase(phase));
        }
        self.poll_deadline(context)
    }

    fn broken(&mut self) -> Poll<Happening> {
        self.reading.ended = true;
        // Else the time-out of what nobody will read would come again and again.
        self.unsent.clear();
        Poll::Ready(Happening::Reset)
    }

    fn poll_control(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        if self.reading.ended {
            return Poll::Pending;
        }
        let takes = self.session.takes() == Takes::Lines && self.unsent.len() < CONTROL_UNSENT_LIMIT_BYTES;
        if !takes {
            return self.poll_urgent(context);
        }
        self.reading.urgent = None;
        loop {
            match self.stream.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return self.broken(),
                Poll::Ready(Ok(())) => {}
            }
            let mut bytes = [0; CONTROL_READ_BYTES];
            match self.stream.try_read(&mut bytes) {
                Ok(0) => {
                    self.reading.ended = true;
                    return Poll::Ready(Happening::EndOfInput);
                }
                Ok(count) => {
                    self.lines.extend(&bytes[..count]);
                    return Poll::Ready(Happening::Read);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.broken(),
            }
        }
    }

    /// Enough commands wait; only an ABOR announced by urgent data, or the end, is worth knowing.
    fn poll_urgent(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        let stream = &self.stream;
        let urgent = self.reading.urgent.get_or_insert_with(|| {
            let stream = stream.clone();
            Box::pin(async move { longshore_net::wait_urgent(&stream).await })
        });
        match urgent.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Urgency::Urgent)) if self.session.takes() == Takes::Nothing => {
                // Told once: what lies beyond the reach of the reading that follows stays pending all the while.
                self.reading.urgent = Some(Box::pin(std::future::pending()));
                Poll::Ready(Happening::Urgent)
            }
            // Nothing more to learn here until reading goes on.
            Poll::Ready(Ok(Urgency::Urgent) | Err(_)) => {
                self.reading.urgent = Some(Box::pin(std::future::pending()));
                Poll::Pending
            }
            Poll::Ready(Ok(Urgency::Closed)) => self.broken(),
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        let session = self.session.deadline().map(|moment| self.started + moment.0);
        let unsent = self.unsent.blocked_since().map(|since| since + CONTROL_WRITE_TIMEOUT);
        let Some(at) = [session, unsent].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // A timer that fires early is set anew; most deadlines move on before they come, so it is not touched then.
        if sleep.deadline() > at || (sleep.is_elapsed() && sleep.deadline() < at) {
            sleep.as_mut().reset(at);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if sleep.deadline() >= at {
                if unsent == Some(at) {
                    return self.broken();
                }
                return Poll::Ready(Happening::Timeout);
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }

    /// Sends what is unsent and ends the connection so that the client reads all of it.
    async fn say_the_rest(&mut self) {
        self.data.release();
        self.transfer = Transfer::default();
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

/// Ready when the server has come nearer to its end than this.
fn beyond(shared: &Shared, phase: Phase) -> Pin<Box<dyn Future<Output = Phase> + Send>> {
    let mut phases = shared.phase.subscribe();
    Box::pin(async move {
        // A sender that is gone means the server is, too.
        phases.wait_for(|now| *now > phase).await.map_or(Phase::Ending, |now| *now)
    })
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

    fn future_size<'a, F: Future>(_: impl FnOnce(&'a mut Driver) -> F) -> usize {
        size_of::<F>()
    }

    /// Thousands of sessions wait at the same time: what each carries is counted, and buffers are not among it.
    #[test]
    fn a_session_that_waits_is_small() {
        assert!(size_of::<Driver>() <= 1280, "{}", size_of::<Driver>());
        assert!(future_size(Driver::run) <= 128, "{}", future_size(Driver::run));
    }
}
