//! The driver: carries out every output in memory, under a time that only tests move.
//!
//! Not inside: the invariants, which the judge knows, and the words of dialogues.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use longshore_path::VirtualPath;
use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::line::{Buffer, Line};
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{
    ConnectFailure, Connection, DataEvent, DataOp, End, Event, Input, ListingFormat, LoginOutcome,
    LoginRequest, Moment, OperationId, Output, Plan, Policy, Route, Session, StorageOp, StorageOutcome,
    Takes, TransferJob,
};

use super::files::{Files, Open};
use super::judge::Judge;
use super::known::Kind;

/// A reply as it was given out.
#[derive(Clone, Debug)]
pub struct Said {
    pub situation: Situation,
    pub reply: Reply,
}

/// What the client does about its data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Connects when the mark has been said.
    Follows,
    /// Has connected before the command.
    Stands,
    /// Does not connect; so many others did.
    StaysAway { strangers: u32 },
    /// Active: its port is closed.
    Refuses,
    /// Active: nothing comes back.
    Unreachable,
}

/// How the next data connection goes once it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All bytes there are, or so many of an upload.
    Complete(u64),
    /// Breaks off after so many bytes.
    Early(u64, End),
    /// Goes on until it is stopped, after so many bytes.
    GoesOn(u64),
}

/// An operation that has not been answered.
#[derive(Clone, Debug)]
pub enum Work {
    Login(LoginRequest),
    Storage(StorageOp),
    Reserve,
    Probe,
    Establish(Route),
    Move(TransferJob),
}

impl Work {
    pub fn kind(&self) -> Kind {
        match self {
            Work::Login(_) => Kind::Login,
            Work::Storage(StorageOp::Commit) => Kind::Commit,
            Work::Storage(StorageOp::Abandon) => Kind::Abandon,
            Work::Storage(_) => Kind::Storage,
            Work::Reserve => Kind::Reserve,
            Work::Probe => Kind::Probe,
            Work::Establish(_) => Kind::Establish,
            Work::Move(_) => Kind::Move,
        }
    }
}

struct UnderWay {
    id: OperationId,
    work: Work,
    cancelled: bool,
}

/// Changes what comes out of a session before anybody sees it, to play one that is broken.
pub type Tamper = Box<dyn FnMut(Output) -> Vec<Output>>;

/// One session and everything around it.
pub struct World {
    pub session: Session,
    lines: Buffer,
    pub now: Moment,
    pub judge: Judge,
    pub files: Files,
    pub client: Client,
    pub transfer: Ended,
    /// Whether a passive port is free.
    pub ports_free: bool,
    /// Whether the system gives sockets.
    pub sockets: bool,
    /// Kinds of operations that are answered only when the test says so.
    pub held: Vec<Kind>,
    under_way: VecDeque<UnderWay>,
    answered: Vec<OperationId>,
    pub port: Option<u16>,
    next_port: u16,
    received: u64,
    /// What the last listing sent, name by name.
    pub sent: Vec<Vec<u8>>,
    /// The last transfer, as it began.
    pub job: Option<TransferJob>,
    pub said: Vec<Said>,
    pub events: Vec<Event>,
    pub closed: bool,
    pub tamper: Option<Tamper>,
    /// Whether violations are left for the test to read.
    pub tolerant: bool,
    log: Vec<String>,
}

impl World {
    pub fn new(policy: Policy, connection: Connection) -> World {
        let now = Moment(Duration::from_secs(1000));
        let mut world = World {
            session: Session::new(Arc::new(policy), connection, now),
            lines: Buffer::new(LINE_LIMIT_BYTES),
            now,
            judge: Judge::default(),
            files: Files::default(),
            client: Client::Follows,
            transfer: Ended::Complete(10),
            ports_free: true,
            sockets: true,
            held: Vec::new(),
            under_way: VecDeque::new(),
            answered: Vec::new(),
            port: None,
            next_port: 30000,
            received: 0,
            sent: Vec::new(),
            job: None,
            said: Vec::new(),
            events: Vec::new(),
            closed: false,
            tamper: None,
            tolerant: false,
            log: Vec::new(),
        };
        world.settle();
        world
    }

    pub fn over_ipv4() -> World {
        World::new(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"))
    }

    pub fn connection(local: &str, peer: &str) -> Connection {
        Connection { local: local.parse().expect("an address"), peer: peer.parse().expect("an address") }
    }

    /// Bytes arrive on the control connection.
    pub fn send(&mut self, bytes: &[u8]) {
        self.log.push(format!("> {}", longshore_path::display(bytes)));
        self.lines.extend(bytes);
        self.settle();
    }

    /// A line arrives on the control connection.
    pub fn send_line(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    pub fn urgent(&mut self) {
        self.log.push("urgent".to_owned());
        self.judge.urgent();
        self.session.handle(self.now, Input::Urgent);
        self.settle();
    }

    pub fn end_of_input(&mut self) {
        self.log.push("end of input".to_owned());
        self.judge.end_of_input();
        self.session.handle(self.now, Input::EndOfInput);
        self.settle();
    }

    pub fn reset(&mut self) {
        self.log.push("reset".to_owned());
        self.judge.reset();
        self.session.handle(self.now, Input::Reset);
        self.settle();
    }

    /// The driver holds back what waits, as when its client does not read.
    pub fn hold_back(&mut self, held: bool) {
        self.log.push(if held { "held back" } else { "held back no longer" }.to_owned());
        self.judge.hold(held);
        self.session.hold(held);
        self.settle();
    }

    pub fn drain(&mut self) {
        self.log.push("drain".to_owned());
        self.judge.drain();
        self.session.handle(self.now, Input::Drain);
        self.settle();
    }

    pub fn shut_down(&mut self) {
        self.log.push("shutdown".to_owned());
        self.judge.shut_down();
        self.session.handle(self.now, Input::Shutdown);
        self.settle();
    }

    /// Time passes; the session is woken whenever it wants to be.
    pub fn advance(&mut self, time: Duration) {
        let target = self.now + time;
        while let Some(at) = self.session.deadline().filter(|at| *at <= target) {
            self.now = self.now.max(at);
            self.wake();
        }
        self.now = target;
    }

    /// A time-out, due or not.
    pub fn wake(&mut self) {
        self.log.push(format!("time-out at {:?}", self.now.0));
        self.judge.wake();
        self.session.handle(self.now, Input::Timeout);
        self.settle();
        self.judge.woken(&self.session, self.now);
        self.report();
    }

    /// Carries out all there is and hands in every line that is taken, until the session waits.
    pub fn settle(&mut self) {
        loop {
            self.carry_out();
            if self.closed || self.session.takes() == Takes::Nothing {
                break;
            }
            let Some(line) = self.lines.next_line() else { break };
            self.judge.line(line);
            self.session.handle(self.now, Input::Line(line));
            self.carry_out();
            self.judge.rest(&self.session);
        }
        self.judge.rest(&self.session);
        self.report();
    }

    fn report(&self) {
        if !self.tolerant && !self.judge.violations.is_empty() {
            let log = self.log.join("\n");
            panic!("{log}\n\nviolated:\n{}", self.judge.violations.join("\n"));
        }
    }

    fn carry_out(&mut self) {
        loop {
            while let Some(output) = self.session.next() {
                let outputs = match &mut self.tamper {
                    Some(tamper) => tamper(output),
                    None => vec![output],
                };
                for output in outputs {
                    self.judge.output(&output);
                    self.perform(output);
                }
            }
            let ready = self.under_way.iter().position(|operation| self.answers_itself(operation));
            let Some(index) = ready else { return };
            self.answer_truly(index);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Reply(reply) => {
                self.log.push(format!(
                    "< {} {} {}",
                    reply.situation.code(),
                    reply.situation.id(),
                    reply.text()
                ));
                self.said.push(Said { situation: reply.situation, reply });
            }
            Output::Login(id, request) => self.begin(id, Work::Login(request)),
            Output::Logout => {}
            Output::Storage(id, op) => self.begin(id, Work::Storage(op)),
            Output::Data(id, op) => self.perform_data(id, op),
            Output::Event(event) => self.events.push(event),
            Output::Close => {
                self.log.push("closed".to_owned());
                self.closed = true;
            }
        }
    }

    fn begin(&mut self, id: OperationId, work: Work) {
        self.log.push(format!("  {id} {work:?}"));
        self.under_way.push_back(UnderWay { id, work, cancelled: false });
    }

    fn perform_data(&mut self, id: OperationId, op: DataOp) {
        match op {
            DataOp::Reserve => self.begin(id, Work::Reserve),
            DataOp::Release => {
                self.log.push(format!("  {id} Release"));
                self.port = None;
            }
            DataOp::Probe => self.begin(id, Work::Probe),
            DataOp::Establish(route) => {
                if let Route::Passive { port } = route {
                    let reserved = self.port.take();
                    assert_eq!(reserved, Some(port), "the transfer uses the port that was named last");
                }
                self.begin(id, Work::Establish(route));
            }
            DataOp::Move(job) => {
                self.job = Some(job.clone());
                self.begin(id, Work::Move(job));
            }
            DataOp::Progress => {
                let bytes = match self.transfer {
                    Ended::Complete(bytes) | Ended::Early(bytes, _) | Ended::GoesOn(bytes) => bytes,
                };
                let event = DataEvent::Progress(bytes);
                self.judge.data_answered(id, &event);
                self.session.handle(self.now, Input::Data(id, event));
            }
            DataOp::Cancel => {
                self.log.push(format!("  {id} Cancel"));
                for operation in &mut self.under_way {
                    operation.cancelled |= operation.id == id;
                }
            }
        }
    }

    /// Whether an operation is not held and has an answer by now.
    fn answers_itself(&self, operation: &UnderWay) -> bool {
        if self.held.contains(&operation.work.kind()) {
            return false;
        }
        match operation.work {
            Work::Establish(_) => operation.cancelled || !matches!(self.client, Client::StaysAway { .. }),
            Work::Move(_) => operation.cancelled || !matches!(self.transfer, Ended::GoesOn(_)),
            _ => true,
        }
    }

    /// What is under way, oldest first.
    pub fn under_way(&self) -> Vec<Kind> {
        self.under_way.iter().map(|operation| operation.work.kind()).collect()
    }

    /// What was under way and has been answered.
    pub fn answered(&self) -> Vec<OperationId> {
        self.answered.clone()
    }

    /// Whether the operation of a kind that is under way was asked to end.
    pub fn is_cancelled(&self, kind: Kind) -> bool {
        self.under_way.iter().any(|operation| operation.work.kind() == kind && operation.cancelled)
    }

    /// The work of a kind that is under way.
    pub fn work(&self, kind: Kind) -> Option<&Work> {
        self.under_way.iter().map(|operation| &operation.work).find(|work| work.kind() == kind)
    }

    fn take(&mut self, kind: Kind) -> UnderWay {
        let index = self.under_way.iter().position(|operation| operation.work.kind() == kind);
        let Some(index) = index else {
            panic!("{}\n\nno {kind:?} is under way", self.log.join("\n"));
        };
        self.under_way.remove(index).expect("it has just been found")
    }

    /// Answers a held operation as the files, accounts and the client would have it.
    pub fn let_go(&mut self, kind: Kind) {
        let index = self.under_way.iter().position(|operation| operation.work.kind() == kind);
        self.answer_truly(index.unwrap_or_else(|| panic!("no {kind:?} is under way")));
        self.settle();
    }

    pub fn answer_login(&mut self, outcome: LoginOutcome) {
        let operation = self.take(Kind::Login);
        self.hand_in_login(operation.id, outcome);
        self.settle();
    }

    pub fn answer_storage(&mut self, kind: Kind, outcome: StorageOutcome) {
        let operation = self.take(kind);
        if kind == Kind::Abandon || outcome != StorageOutcome::Done {
            self.files.open = Open::Nothing;
        }
        self.hand_in_storage(operation.id, outcome);
        self.settle();
    }

    pub fn answer_data(&mut self, kind: Kind, event: DataEvent) {
        let operation = self.take(kind);
        if let DataEvent::Finished { bytes, .. } = event {
            self.received = bytes;
        }
        self.hand_in_data(operation.id, event);
        self.settle();
    }

    /// An answer that nobody waits for.
    pub fn answer_late(&mut self, id: OperationId) {
        self.log.push(format!("  {id} once more"));
        self.session.handle(
            self.now,
            Input::Storage(id, StorageOutcome::Failed(longshore_proto::verbs::Failure::Fault)),
        );
        self.session.handle(self.now, Input::Login(id, LoginOutcome::Rejected { earlier: 0 }));
        self.session.handle(self.now, Input::Data(id, DataEvent::NoPort));
        self.settle();
    }

    fn answer_truly(&mut self, index: usize) {
        let UnderWay { id, work, cancelled } =
            self.under_way.remove(index).expect("an index of one under way");
        match work {
            Work::Login(request) => {
                let known =
                    request.password.0 == b"secret" || request.user.eq_ignore_ascii_case(b"anonymous");
                let outcome =
                    if known { self.welcome(&request.user) } else { LoginOutcome::Rejected { earlier: 0 } };
                self.hand_in_login(id, outcome);
            }
            Work::Storage(op) => {
                let received = std::mem::take(&mut self.received);
                let outcome = self.files.perform(&op, received);
                self.hand_in_storage(id, outcome);
            }
            Work::Reserve => {
                let event = self.reserve();
                self.hand_in_data(id, event);
            }
            Work::Probe => {
                let event =
                    if self.client == Client::Stands { DataEvent::Standing } else { DataEvent::NotYet };
                self.hand_in_data(id, event);
            }
            Work::Establish(_) => {
                let event = match self.client {
                    Client::Follows | Client::Stands => DataEvent::Established,
                    Client::StaysAway { strangers } => {
                        DataEvent::NotEstablished(ConnectFailure::Cancelled { strangers })
                    }
                    Client::Refuses => DataEvent::NotEstablished(ConnectFailure::Refused),
                    Client::Unreachable => DataEvent::NotEstablished(ConnectFailure::Unreachable),
                };
                self.hand_in_data(id, event);
            }
            Work::Move(job) => {
                let (bytes, end) = match self.transfer {
                    Ended::Complete(_) if cancelled => (0, End::Cancelled),
                    Ended::Complete(bytes) => (self.amount(&job).unwrap_or(bytes), End::Complete),
                    Ended::Early(bytes, end) => (bytes, end),
                    Ended::GoesOn(bytes) => (bytes, End::Cancelled),
                };
                self.hand_in_data(id, DataEvent::Finished { bytes, end });
            }
        }
    }

    fn welcome(&self, user: &[u8]) -> LoginOutcome {
        let account = String::from_utf8_lossy(user).into_owned();
        let quota = self.files.quota.is_some();
        LoginOutcome::Accepted { account, directory: VirtualPath::root(), quota }
    }

    /// An older port ends, then a newer one is had.
    pub fn reserve(&mut self) -> DataEvent {
        self.port = None;
        if !self.sockets {
            return DataEvent::NoResources;
        }
        if !self.ports_free {
            return DataEvent::NoPort;
        }
        let port = self.next_port;
        self.next_port = if port == 30999 { 30000 } else { port + 1 };
        DataEvent::Reserved(port)
    }

    /// The bytes of a whole download.
    fn amount(&mut self, job: &TransferJob) -> Option<u64> {
        match (&self.files.open, &job.plan) {
            (Open::File { rest }, _) => Some(*rest),
            (Open::Listing { path }, Plan::Listing { format, pattern }) => {
                let one = !matches!(self.files.get(path), Some(super::files::Node::Directory));
                let names = self.files.names(path);
                let names = names.into_iter().filter(|name| pattern.as_ref().is_none_or(|p| p.matches(name)));
                // A file is listed by the name it was asked by, which stands before the slash of its prefix.
                self.sent = names
                    .map(|name| match format {
                        ListingFormat::Names(prefix) if one => {
                            prefix[..prefix.len().saturating_sub(1)].to_vec()
                        }
                        ListingFormat::Names(prefix) => [prefix.as_slice(), &name].concat(),
                        _ => name,
                    })
                    .collect();
                Some(self.sent.iter().map(|name| name.len() as u64 + 2).sum())
            }
            _ => None,
        }
    }

    fn hand_in_login(&mut self, id: OperationId, outcome: LoginOutcome) {
        self.log.push(format!("  {id} {outcome:?}"));
        self.answered.push(id);
        self.judge.login_answered(id, &outcome);
        self.session.handle(self.now, Input::Login(id, outcome));
    }

    fn hand_in_storage(&mut self, id: OperationId, outcome: StorageOutcome) {
        self.log.push(format!("  {id} {outcome:?}"));
        self.answered.push(id);
        self.judge.storage_answered(id, &outcome);
        self.session.handle(self.now, Input::Storage(id, outcome));
    }

    fn hand_in_data(&mut self, id: OperationId, event: DataEvent) {
        self.log.push(format!("  {id} {event:?}"));
        match event {
            DataEvent::Reserved(port) => self.port = Some(port),
            DataEvent::Finished { bytes, .. } => {
                self.received = bytes;
                if let Open::File { .. } | Open::Listing { .. } = self.files.open {
                    self.files.open = Open::Nothing;
                }
            }
            _ => {}
        }
        self.answered.push(id);
        self.judge.data_answered(id, &event);
        self.session.handle(self.now, Input::Data(id, event));
    }

    /// Whoever holds anything back stops doing so, the client leaves, and the session must end.
    pub fn finish(&mut self) {
        self.held.clear();
        self.hold_back(false);
        if matches!(self.transfer, Ended::GoesOn(_)) {
            self.transfer = Ended::Complete(10);
        }
        if matches!(self.client, Client::StaysAway { .. }) {
            self.client = Client::Follows;
        }
        self.settle();
        if self.closed {
            return;
        }
        self.end_of_input();
        self.advance(Duration::from_secs(60));
        assert!(self.closed, "{}\n\ndoes not end", self.log.join("\n"));
    }

    /// A line that did not come through the buffer.
    pub fn hand_in_line(&mut self, line: Line<'_>) {
        self.judge.line(line);
        self.session.handle(self.now, Input::Line(line));
        self.settle();
    }

    pub fn log(&self) -> String {
        self.log.join("\n")
    }
}
