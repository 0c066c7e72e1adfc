//! The session itself: what may come when, and who waits for whom.
//!
//! Not inside: what single commands do ([`commands`](super::commands)), logging in ([`login`](super::login)), how a
//! transfer proceeds ([`transfer`](super::transfer)), the life of an arranged data connection
//! ([`arrangement`](super::arrangement)), time-outs ([`timers`](super::timers)), and the end
//! ([`ending`](super::ending)).
//!
//! One command runs at a time; the others wait ([`waiting`](super::waiting)) and are answered in the order they were
//! read. Two things do not wait: ABOR acts when it is read (and is answered in its turn), and NOOP and plain STAT
//! are answered at once when nothing else waits behind a running transfer.

use std::collections::VecDeque;
use std::sync::Arc;

use longshore_path::{PathError, VirtualPath};

use super::arrangement::{Arrangement, Held};
use super::ending::Control;
use super::login::Login;
use super::protection::Shield;
use super::settings::{Pair, Restart, Settings};
use super::timers::Timers;
use super::transfer::{Stop, Transfer};
use super::waiting::{Received, Waiting};
use super::{
    Connection, DataEvent, DataOp, Ending, Input, Moment, OperationId, Output, Policy, StorageOp,
    StorageOutcome, Takes, TlsOffer,
};
use crate::command::{self, Command, Parsed};
use crate::limits::LINE_LIMIT_BYTES;
use crate::line::Line;
use crate::reply::{Reply, Situation};
use crate::verbs::{Failure, Failures, Legal, Verb};

/// One control connection of a server.
#[derive(Debug)]
pub struct Session {
    pub(super) policy: Arc<Policy>,
    pub(super) connection: Connection,
    pub(super) now: Moment,
    pub(super) login: Login,
    pub(super) settings: Settings,
    pub(super) shield: Shield,
    pub(super) arrangement: Arrangement,
    pub(super) stage: Stage,
    pub(super) waiting: Waiting,
    pub(super) control: Control,
    /// When something last happened, and when the login began.
    pub(super) timers: Timers,
    out: Outbox,
    /// Whether ABOR found something to stop when it was read; its answer comes later.
    stopped_something: bool,
    /// The server wants to end: when nothing is left to do, this session does.
    pub(super) draining: bool,
}

/// What is to be given out.
#[derive(Debug, Default)]
struct Outbox {
    queue: VecDeque<Output>,
    next_id: u64,
    /// No command begins meanwhile.
    held: bool,
}

impl Outbox {
    /// All was given out. Between two commands a session may wait for hours and keeps no queue; within one it keeps what
    /// the next step needs.
    fn shrink(&mut self, between_commands: bool) {
        if between_commands {
            self.queue = VecDeque::new();
        } else if self.queue.capacity() > 8 {
            self.queue.shrink_to(4);
        }
    }
}

/// What the running command waits for.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing runs.
    Idle,
    /// TLS on the control connection; `greet` when the greeting comes behind it.
    AwaitTls { id: OperationId, until: Moment, greet: bool },
    /// The answer to a login by PASS, or by USER and a certificate.
    AwaitLogin { id: OperationId, user: Vec<u8>, verb: Verb },
    /// A refusal of a login that is held back.
    AwaitDelay { until: Moment, user: Vec<u8> },
    /// A passive port.
    AwaitReservation { id: OperationId, verb: Verb },
    /// The answer of storage.
    AwaitStorage { id: OperationId, verb: Verb, then: Then },
    /// A transfer.
    Transfer(Box<Transfer>),
    /// Nothing any more.
    Closed,
}

/// What to do with an answer of storage.
#[derive(Debug)]
pub(super) enum Then {
    /// The command is complete: answer with the path.
    Answer { situation: Situation, path: VirtualPath },
    /// CWD, CDUP.
    Enter { path: VirtualPath },
    /// RNFR.
    RememberSource { path: VirtualPath },
    /// RNTO.
    AnswerRename { from: VirtualPath, to: VirtualPath },
    /// MFMT.
    AnswerTime { path: VirtualPath, time: crate::time::UnixTime },
    /// ALLO.
    AnswerSpace { bytes: u64 },
    /// SITE CHMOD.
    AnswerMode { path: VirtualPath, mode: u32 },
    /// SITE QUOTA, STAT.
    AnswerQuota,
}

impl Session {
    /// Begins: the greeting is the first output.
    pub fn new(policy: Arc<Policy>, connection: Connection, now: Moment) -> Session {
        let shield = Shield::new(&policy.tls);
        let implicit = policy.tls.offer == TlsOffer::Implicit;
        let mut session = Session {
            policy,
            connection,
            now,
            login: Login::Out { user: None },
            settings: Settings::default(),
            shield,
            arrangement: Arrangement::default(),
            stage: Stage::Idle,
            waiting: Waiting::default(),
            control: Control::Open { first_line: true },
            timers: Timers { last_activity: now, login_began: now, grace_ends: None, failed_logins: 0 },
            out: Outbox::default(),
            stopped_something: false,
            draining: false,
        };
        if implicit {
            session.begin_implicit();
        } else {
            session.push(Output::Reply(Reply::new(Situation::Greeting)));
        }
        session
    }

    /// Hands in what happened. Time never goes back.
    pub fn handle(&mut self, now: Moment, input: Input<'_>) {
        self.now = self.now.max(now);
        if matches!(self.stage, Stage::Closed) {
            return;
        }
        match input {
            Input::Line(line) => self.handle_line(line),
            Input::Urgent => self.waiting.stretch(),
            Input::EndOfInput => self.lose_control(Ending::Closed),
            Input::Reset => self.lose_control(Ending::Reset),
            Input::Login(id, outcome) => self.handle_login(id, outcome),
            Input::Tls(id, event) => self.handle_tls(id, event),
            Input::Storage(id, outcome) => self.handle_storage(id, outcome),
            Input::Data(id, event) => self.handle_data(id, event),
            Input::Timeout => self.handle_timeout(),
            Input::Drain => self.draining = true,
            Input::Shutdown => self.handle_shutdown(),
        }
        self.close_if_done();
    }

    /// The next thing to carry out; `None` when it is the driver's turn.
    #[allow(
        clippy::should_implement_trait,
        reason = "no iterator: whoever drives it hands in what happened between two calls"
    )]
    pub fn next(&mut self) -> Option<Output> {
        let mut output = self.out.queue.pop_front();
        while output.is_none() && !self.out.held && self.run_waiting() {
            self.close_if_done();
            output = self.out.queue.pop_front();
        }
        if output.is_none() {
            self.out.shrink(matches!(self.stage, Stage::Idle | Stage::Closed));
        }
        output
    }

    /// While held, no command that waits begins: for a driver whose client does not read its answers, or whose turn
    /// is over. What runs goes on.
    pub fn hold(&mut self, held: bool) {
        self.out.held = held;
    }

    /// The two ends of the control connection, as it began with.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether lines may be handed in now.
    pub fn takes(&self) -> Takes {
        let begins_tls = matches!(self.stage, Stage::AwaitTls { .. });
        if self.waiting.is_full() || begins_tls { Takes::Nothing } else { Takes::Lines }
    }

    /// Whether the session has ended and [`Output::Close`] was given out (or is about to be).
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    fn handle_line(&mut self, line: Line<'_>) {
        let Control::Open { first_line } = self.control else {
            return;
        };
        // Nobody hands one in meanwhile; if somebody does, it must not be taken for one that came through TLS.
        if matches!(self.stage, Stage::AwaitTls { .. }) {
            return;
        }
        self.timers.last_activity = self.now;
        if let (true, Line::TooLong) = (first_line, &line) {
            // A browser chooses the length of its first line, and what comes behind it may look like commands.
            return self.say_goodbye(Reply::new(Situation::FirstLineTooLong).with("limit", LINE_LIMIT_BYTES));
        }
        if let (true, Line::Command(line)) = (first_line, &line)
            && let Some(protocol) = foreign_protocol(command::split(line).0)
        {
            let verb = command::split(line).0.to_vec();
            let reply = Reply::new(Situation::NotFtp).with("verb", verb).with("protocol", protocol);
            return self.say_goodbye(reply);
        }
        let bytes = if let Line::Command(line) = &line { line.len() } else { 0 };
        let received = Received::read(&line);
        let known = matches!(received, Received::Command(_));
        self.control = Control::Open { first_line: first_line && !known };
        if let Received::Command(Parsed { verb, .. }) = received {
            match verb {
                Verb::Abor => self.abort_all(),
                Verb::Quit => self.control = Control::Quitting,
                _ => {}
            }
            if self.overtakes(&received) {
                return self.answer_at_once(verb);
            }
        }
        self.waiting.push(received, bytes);
    }

    /// NOOP and plain STAT behind the mark of the running transfer, when nothing else waits.
    fn overtakes(&self, received: &Received) -> bool {
        let marked = matches!(&self.stage, Stage::Transfer(transfer) if transfer.marked());
        let light = matches!(
            received,
            Received::Command(Parsed { command: Ok(Command::Noop | Command::Stat(None)), .. })
        );
        marked && light && self.waiting.is_empty()
    }

    fn answer_at_once(&mut self, verb: Verb) {
        if verb == Verb::Noop {
            return self.answer(verb, Reply::new(Situation::Noop));
        }
        match &self.stage {
            Stage::Transfer(transfer) if transfer.moving().is_some() => {
                let id = transfer.moving().expect("just asked");
                self.push(Output::Data(id, DataOp::Progress));
            }
            _ => {
                let reply = self.status(None);
                self.answer(Verb::Stat, reply);
            }
        }
    }

    /// ABOR was read: it acts on everything before it, now.
    fn abort_all(&mut self) {
        self.stopped_something |= matches!(self.stage, Stage::Transfer(_));
        self.stopped_something |= self.waiting.abort();
        self.stop_transfer(Stop::Abort);
    }

    /// Whether no command stands behind the one that runs.
    pub(super) fn nothing_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Begins the next command that waits; whether there was one.
    fn run_waiting(&mut self) -> bool {
        if !matches!(self.stage, Stage::Idle) {
            return false;
        }
        let Some((line, aborted)) = self.waiting.pop() else { return false };
        let may_be_upload = matches!(line, Received::TooLong | Received::Nul);
        let refusal = match line {
            Received::Command(parsed) => {
                self.begin(parsed, aborted);
                return true;
            }
            Received::Unknown { word } if word.is_empty() => Reply::new(Situation::LineEmpty),
            Received::Unknown { word } => Reply::new(Situation::Unknown).with("verb", word),
            Received::TooLong => Reply::new(Situation::LineTooLong).with("limit", LINE_LIMIT_BYTES),
            Received::Nul => Reply::new(Situation::LineNul),
        };
        self.come_between();
        if may_be_upload {
            // Whatever it was, its bytes may be under way, and must not become the next file.
            let held = self.arrangement.refuse_upload();
            self.let_go(held);
        }
        self.reply(refusal);
        true
    }

    /// A command's turn has come: the table says whether it may run at all.
    fn begin(&mut self, parsed: Parsed, aborted: bool) {
        let Parsed { verb, command } = parsed;
        let row = verb.row();
        let pair = self.take_pairs();
        let before = self.settings.restart;
        self.settings.restart = match verb {
            // Whatever comes of it, a REST serves one transfer.
            Verb::Retr | Verb::Stor | Verb::Appe => Restart::None,
            _ if row.keeps_restart => before,
            _ => before.broken(),
        };
        let upload = row.transfer == Some(crate::verbs::Direction::Receive);
        let refusal = if row.legal == Legal::NotOffered {
            Some(Reply::new(Situation::NotOffered).with("verb", verb.name()))
        } else if row.legal == Legal::LoggedIn && matches!(self.login, Login::Out { .. }) {
            Some(Reply::new(Situation::LoginNeeded).with("verb", verb.name()))
        } else if let Some((first, refusal)) = row.after
            && pair.begun_by() != Some(first)
        {
            Some(Reply::new(refusal))
        } else if aborted && row.transfer.is_some() {
            Some(Reply::new(Situation::NotBegun))
        } else {
            None
        };
        let refusal = refusal.or_else(|| match &command {
            Err(error) => Some(argument_refusal(verb, error)),
            Ok(_) => None,
        });
        match (refusal, command) {
            (None, Ok(command)) => self.execute(verb, command, pair, before),
            (Some(reply), _) => {
                if verb == Verb::Abor {
                    // What it stopped is no other ABOR's to tell.
                    self.stopped_something = false;
                }
                if upload {
                    let held = self.arrangement.refuse_upload();
                    self.let_go(held);
                }
                self.answer(verb, reply);
            }
            (None, Err(_)) => unreachable!("an argument error is a refusal"),
        }
    }

    /// USER and RNFR count for exactly the next command.
    fn take_pairs(&mut self) -> Pair {
        if let Login::Out { user } = &mut self.login
            && let Some(user) = user.take()
        {
            return Pair::User(user);
        }
        match self.settings.rename_from.take() {
            Some(from) => Pair::RenameFrom(from),
            None => Pair::None,
        }
    }

    /// A line that is no command parts USER, RNFR and REST from what must follow them, too.
    fn come_between(&mut self) {
        let _ = self.take_pairs();
        self.settings.restart = self.settings.restart.broken();
    }

    fn handle_storage(&mut self, id: OperationId, outcome: StorageOutcome) {
        match &self.stage {
            Stage::AwaitStorage { id: expected, .. } if *expected == id => {
                let Stage::AwaitStorage { verb, then, .. } = std::mem::replace(&mut self.stage, Stage::Idle)
                else {
                    unreachable!("just matched");
                };
                self.timers.last_activity = self.now;
                self.finish_storage(verb, then, outcome);
            }
            Stage::Transfer(_) => {
                self.step_transfer(|transfer, session| transfer.handle_storage(session, id, outcome));
            }
            _ => {}
        }
    }

    fn handle_data(&mut self, id: OperationId, event: DataEvent) {
        match &self.stage {
            Stage::AwaitReservation { id: expected, verb } if *expected == id => {
                let verb = *verb;
                self.stage = Stage::Idle;
                self.finish_reservation(verb, event);
            }
            Stage::Transfer(transfer) => {
                if let DataEvent::Progress(bytes) = event {
                    if transfer.moving() == Some(id) {
                        let reply = self.status(Some(bytes));
                        self.answer(Verb::Stat, reply);
                    }
                    return;
                }
                if let DataEvent::Marker { marker, offset } = event {
                    if transfer.moving() == Some(id) {
                        self.answer_marker(transfer.verb(), &marker, offset);
                    }
                    return;
                }
                self.step_transfer(|transfer, session| transfer.handle_data(session, id, event));
            }
            _ => {}
        }
    }

    /// Takes the transfer out of the session for one step; it comes back unless the step was its last.
    pub(super) fn step_transfer(
        &mut self,
        step: impl FnOnce(Box<Transfer>, &mut Session) -> Option<Box<Transfer>>,
    ) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Transfer(transfer) => match step(transfer, self) {
                Some(transfer) => self.stage = Stage::Transfer(transfer),
                None => {
                    self.timers.last_activity = self.now;
                    // The time was the upload's; what waited behind it has its own.
                    self.timers.grace_ends = None;
                }
            },
            other => self.stage = other,
        }
    }

    pub(super) fn stop_transfer(&mut self, stop: Stop) {
        self.step_transfer(|transfer, session| transfer.stop(session, stop));
    }

    pub(super) fn abort_did_something(&mut self) -> bool {
        std::mem::take(&mut self.stopped_something)
    }

    pub(super) fn let_go(&mut self, held: Held) {
        if held == Held::Release {
            let id = self.new_id();
            self.push(Output::Data(id, DataOp::Release));
        }
    }

    pub(super) fn new_id(&mut self) -> OperationId {
        self.out.next_id += 1;
        OperationId(self.out.next_id)
    }

    pub(super) fn push(&mut self, output: Output) {
        self.out.queue.push_back(output);
    }

    /// Asks storage and waits.
    pub(super) fn ask_storage(&mut self, verb: Verb, op: StorageOp, then: Then) {
        let id = self.new_id();
        self.push(Output::Storage(id, op));
        self.stage = Stage::AwaitStorage { id, verb, then };
    }

    /// The answer to a command. Every row of the table lists what may be said.
    pub(super) fn answer(&mut self, verb: Verb, reply: Reply) {
        debug_assert!(
            verb.row().may_answer(reply.situation),
            "{} may not be answered with {}",
            verb.name(),
            reply.situation.id()
        );
        self.push(Output::Reply(reply));
    }

    /// A 1yz, which is followed by exactly one final answer.
    pub(super) fn answer_mark(&mut self, verb: Verb, reply: Reply) {
        debug_assert!((100..200).contains(&reply.situation.code()));
        self.answer(verb, reply);
    }

    /// An answer to a line that is no command.
    fn reply(&mut self, reply: Reply) {
        self.push(Output::Reply(reply));
    }

    /// The refusal by storage, in the words and the code that fit the command.
    pub(super) fn failure(&self, verb: Verb, failure: Failure, path: &VirtualPath) -> Reply {
        Reply::new(verb.row().failures.situation(failure)).with("path", path).with("detail", failure.words())
    }

    /// The absolute path of an argument, else the refusal.
    pub(super) fn resolve(&self, verb: Verb, raw: &[u8]) -> Result<VirtualPath, Reply> {
        let Login::In(login) = &self.login else {
            return Err(Reply::new(Situation::LoginNeeded).with("verb", verb.name()));
        };
        login.directory.join(raw).map_err(|error: PathError| {
            let situation = match verb.row().failures {
                // ALLO and the like ask nothing of the name.
                Failures::None => Situation::BadArgument,
                failures => failures.situation(Failure::Name),
            };
            Reply::new(situation)
                .with("path", raw.to_vec())
                .with("detail", error.to_string())
                .with("syntax", verb.row().syntax)
        })
    }
}

fn argument_refusal(verb: Verb, error: &command::ArgumentError) -> Reply {
    let reply = Reply::new(error.situation());
    match error {
        command::ArgumentError::NotOffered { parameter, instead } => {
            reply.with("parameter", *parameter).with("instead", *instead)
        }
        _ => reply.with("detail", error.to_string()).with("syntax", verb.row().syntax),
    }
}

/// Other protocols' first words: browsers and mail programs can be tricked into talking to an FTP server (ALPACA).
fn foreign_protocol(word: &[u8]) -> Option<&'static str> {
    const HTTP: &[&[u8]] =
        &[b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"];
    const SMTP: &[&[u8]] = &[b"EHLO", b"HELO", b"LHLO"];
    if HTTP.contains(&word) {
        Some("HTTP")
    } else if SMTP.iter().any(|verb| verb.eq_ignore_ascii_case(word)) {
        Some("SMTP")
    } else {
        None
    }
}
