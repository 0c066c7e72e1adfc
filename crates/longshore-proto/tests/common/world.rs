//! The driver: carries out every output in memory, under a time that only tests move.
//!
//! Not inside: the invariants, which the judge knows, the words of dialogues, and the answers to what is under way
//! (`answers`).

mod answers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::line::{Buffer, Line};
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{
    Channel, Connection, DataEvent, DataOp, End, Event, Input, LoginRequest, Moment, OperationId, Output,
    Policy, Route, Session, StorageOp, Takes, TlsNeed, TransferJob,
};

use super::files::Files;
use super::judge::Judge;
use super::known::Kind;

/// A reply as it was given out.
#[derive(Clone, Debug)]
pub struct Said {
    pub situation: Situation,
    pub reply: Reply,
    /// Whether it went out inside TLS.
    pub protected: bool,
}

/// How the client meets TLS on the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It comes about.
    Succeeds {
        /// The client shows a certificate, which lets `longshore` in.
        certificate: bool,
    },
    Fails,
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
    /// Connects, and closes what stays behind a transfer.
    Leaves,
    /// Connects, and where TLS is wanted begins none.
    StaysSilent,
    /// Connects, and speaks in clear whatever is wanted.
    SpeaksClear,
    /// Connects, and breaks off TLS where it is wanted.
    BreaksTls,
    /// Connects with TLS where it is wanted, of another session.
    ComesAnew,
    /// Does not come; others do, from elsewhere, who might prove themselves and do not.
    SendsOthers,
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
    Tls {
        /// Bytes stood behind the AUTH.
        behind: bool,
    },
    Login(LoginRequest),
    Storage(StorageOp),
    Reserve,
    Probe,
    Establish(Channel),
    Move(TransferJob),
}

impl Work {
    pub fn kind(&self) -> Kind {
        match self {
            Work::Tls { .. } => Kind::Tls,
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
    pub handshake: Handshake,
    /// Whether TLS protects the control connection.
    protected: bool,
    /// What accounts need that log in.
    pub need: TlsNeed,
    /// Whether a passive port is free.
    pub ports_free: bool,
    /// Whether the system gives sockets.
    pub sockets: bool,
    /// Kinds of operations that are answered only when the test says so.
    pub held: Vec<Kind>,
    under_way: VecDeque<UnderWay>,
    answered: Vec<OperationId>,
    pub port: Option<u16>,
    /// Whether the data connection of the transfer before stays.
    pub stays: bool,
    /// Whether the transfer that runs has it.
    pub on_kept: bool,
    next_port: u16,
    received: u64,
    /// What the last listing sent, name by name.
    pub sent: Vec<Vec<u8>>,
    /// The last transfer, as it began.
    pub job: Option<TransferJob>,
    /// Transfers whose bytes began to move.
    pub jobs: u32,
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
        World::holding(policy, connection, &[])
    }

    /// Some kinds of operations are held from the first output on.
    pub fn holding(policy: Policy, connection: Connection, held: &[Kind]) -> World {
        let now = Moment(Duration::from_secs(1000));
        let judge = Judge::new(&policy);
        let mut world = World {
            session: Session::new(Arc::new(policy), connection, now),
            lines: Buffer::new(LINE_LIMIT_BYTES),
            now,
            judge,
            files: Files::default(),
            client: Client::Follows,
            transfer: Ended::Complete(10),
            handshake: Handshake::Succeeds { certificate: false },
            protected: false,
            need: TlsNeed::Nothing,
            ports_free: true,
            sockets: true,
            held: held.to_vec(),
            under_way: VecDeque::new(),
            answered: Vec::new(),
            port: None,
            stays: false,
            on_kept: false,
            next_port: 30000,
            received: 0,
            sent: Vec::new(),
            job: None,
            jobs: 0,
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
            Output::Reply(reply) => self.say(reply),
            Output::StartTls(id, reply) => {
                let behind = !self.lines.is_empty();
                if let Some(reply) = reply.filter(|_| !behind) {
                    self.say(reply);
                }
                self.begin(id, Work::Tls { behind });
            }
            Output::StopTls(reply) => {
                self.say(reply);
                self.protected = false;
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

    fn say(&mut self, reply: Reply) {
        let (situation, protected) = (reply.situation, self.protected);
        let how = if protected { "inside TLS" } else { "in clear" };
        self.log.push(format!("< {} {} {} ({how})", situation.code(), situation.id(), reply.text()));
        self.said.push(Said { situation, reply, protected });
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
                self.stays = false;
            }
            DataOp::Probe => self.begin(id, Work::Probe),
            DataOp::Establish(channel) => {
                self.on_kept = std::mem::take(&mut self.stays);
                if let (Route::Passive { port }, false) = (channel.route, self.on_kept) {
                    let reserved = self.port.take();
                    assert_eq!(reserved, Some(port), "the transfer uses the port that was named last");
                }
                self.begin(id, Work::Establish(channel));
            }
            DataOp::Move(job) => {
                self.jobs += 1;
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

    /// Whoever holds anything back stops doing so, the client leaves, and the session must end.
    pub fn finish(&mut self) {
        self.held.clear();
        self.hold_back(false);
        if matches!(self.transfer, Ended::GoesOn(_)) {
            self.transfer = Ended::Complete(10);
        }
        if matches!(self.client, Client::StaysAway { .. } | Client::StaysSilent) {
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
