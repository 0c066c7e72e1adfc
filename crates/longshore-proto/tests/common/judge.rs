//! The invariants of a session, checked at every line that goes in and every output that comes out.
//!
//! Not inside: what a command should answer beyond that. The judge knows the session only by its inputs and
//! outputs.

mod beginning;
mod connection;
mod resting;

use std::collections::{BTreeSet, VecDeque};

use longshore_proto::command::{self, Command, Mode};
use longshore_proto::line::Line;
use longshore_proto::reply::{English, Reply, Situation};
use longshore_proto::server::{
    DataEvent, DataOp, End, Ending, Event, LoginOutcome, OperationId, Output, Policy, Protection, StorageOp,
    StorageOutcome, TlsEvent,
};
use longshore_proto::verbs::Verb;

use super::guard::{Control, Guard};
use super::known::{Asked, Data, File, Kind, Waiting};
use super::model::{Arranged, Model, is_transfer, is_upload};

/// Watches one session.
#[derive(Debug, Default)]
pub struct Judge {
    guard: Guard,
    unanswered: VecDeque<Waiting>,
    /// NOOP or STAT that must be answered before all others, and before the next line.
    overtaker: Option<Verb>,
    under_way: Vec<(OperationId, Kind)>,
    last_id: u64,
    logged_in: bool,
    greeted: bool,
    quitting: bool,
    lost: bool,
    /// The input ended in order: all that was read before is answered.
    orderly: bool,
    /// The server wants to end, and waits for what was read.
    drained: bool,
    /// The server ends, and waits for nothing that has not begun.
    shut_down: bool,
    /// A login was answered with a ban, which is the next thing to be said.
    banned: bool,
    /// Nothing that waits may begin.
    held: bool,
    urgent: bool,
    farewell: Option<Situation>,
    closed: bool,
    model: Model,
    file: File,
    data: Data,
    /// The driver holds a passive port or a connection that came in there.
    holds: bool,
    must_release: bool,
    /// The PROT and MODE of the transfer whose data connection stays.
    kept: Option<(Protection, Mode)>,
    /// Those of the transfer that runs.
    made: Option<(Protection, Mode)>,
    /// A time-out was handed in, and nothing has come out yet.
    waking: bool,
    /// Time-outs after which the next was due at once.
    wakes: u32,
    pub violations: Vec<String>,
    /// Which command was answered with what; `None` for lines that are no commands, and for no line at all.
    pub pairs: BTreeSet<(Option<Verb>, Situation)>,
}

impl Judge {
    pub fn new(policy: &Policy) -> Judge {
        Judge { guard: Guard::new(policy), ..Judge::default() }
    }

    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(what());
        }
    }

    /// Commands that have no final answer.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// A line is about to be handed in.
    pub fn line(&mut self, line: Line<'_>) {
        let begins = self.guard.begins();
        self.demand(!begins, || format!("{line:?} was taken while TLS begins"));
        if self.quitting || self.lost || self.closed {
            return;
        }
        let mut mechanism = None;
        let (asked, bytes) = match line {
            Line::TooLong => (Asked::TooLong, 0),
            Line::Nul => (Asked::Nul, 0),
            Line::Command(bytes) => match command::parse(bytes) {
                Some(parsed) => {
                    let light = matches!(parsed.command, Ok(Command::Noop | Command::Stat(None)));
                    if light && self.unanswered.len() == 1 && self.unanswered[0].marked {
                        self.overtaker = Some(parsed.verb);
                        return;
                    }
                    if let Ok(Command::Auth(named)) = parsed.command {
                        mechanism = Some(named);
                    }
                    (Asked::Verb(parsed.verb), bytes.len())
                }
                None if command::split(bytes).0.is_empty() => (Asked::Empty, bytes.len()),
                None => (Asked::Unknown, bytes.len()),
            },
        };
        match asked {
            Asked::Verb(Verb::Abor) => {
                for waiting in &mut self.unanswered {
                    waiting.aborted = !waiting.marked;
                }
            }
            Asked::Verb(Verb::Quit) => self.quitting = true,
            _ => {}
        }
        self.unanswered.push_back(Waiting {
            asked,
            mechanism,
            bytes,
            aborted: false,
            begun: false,
            marked: false,
            completed: false,
        });
    }

    pub fn urgent(&mut self) {
        self.urgent = true;
    }

    /// The client says no more. Behind a QUIT that changes nothing.
    pub fn end_of_input(&mut self) {
        if self.quitting || self.lost {
            return;
        }
        self.lost = true;
        self.orderly = true;
        let running = usize::from(!self.under_way.is_empty());
        for (index, waiting) in self.unanswered.iter_mut().enumerate() {
            // An upload that runs may still say its mark.
            let spared = index < running && waiting.verb().is_some_and(is_upload);
            waiting.aborted |= !waiting.marked && !spared;
        }
    }

    /// The control connection broke. Behind a QUIT that changes nothing.
    pub fn reset(&mut self) {
        if self.quitting {
            return;
        }
        self.lost = true;
        self.orderly = false;
        for waiting in &mut self.unanswered {
            waiting.aborted |= !waiting.marked;
        }
    }

    /// The server wants to end: what it has read and what it still reads while something runs is answered.
    pub fn drain(&mut self) {
        self.drained = true;
    }

    /// The server ends.
    pub fn shut_down(&mut self) {
        self.lost = true;
        self.orderly = false;
        self.shut_down = true;
    }

    /// From here on commands that wait may not begin, or may again.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub fn output(&mut self, output: &Output) {
        // What a time-out lets go of before all else is a passive port that nobody used.
        if std::mem::take(&mut self.waking) && matches!(output, Output::Data(_, DataOp::Release)) {
            self.model.expire();
        }
        let closed = self.closed;
        self.demand(!closed, || format!("after Close came {output:?}"));
        if let Some(situation) = self.farewell {
            let fits = matches!(output, Output::Event(_) | Output::Close | Output::Data(_, DataOp::Release));
            self.demand(fits, || format!("after {} came {output:?}", situation.id()));
        }
        if self.must_release && !matches!(output, Output::Event(_)) {
            self.must_release = false;
            let fits = matches!(output, Output::Data(_, DataOp::Release));
            self.demand(fits, || {
                format!("a refused upload left the data connection open, then came {output:?}")
            });
        }
        match output {
            Output::Reply(reply) => {
                let objection = self.guard.objection(reply.situation);
                self.violations.extend(objection);
                self.reply(reply);
            }
            Output::StartTls(id, reply) => self.start_tls(*id, reply.as_ref()),
            Output::StopTls(reply) => {
                let objection = self.guard.stop(reply.situation);
                self.violations.extend(objection);
                self.reply(reply);
            }
            Output::Login(id, request) => {
                self.begin(*id, Kind::Login);
                let verb = self.unanswered.front().and_then(Waiting::verb);
                let objection = self.guard.login(verb, &request.credential);
                self.violations.extend(objection);
            }
            Output::Logout => {
                let kept = self.kept;
                self.demand(kept.is_none(), || format!("{kept:?} outlives its login"));
                self.model.close_kept();
                self.logged_in = false;
                self.guard.logged_out();
            }
            Output::Storage(id, op) => self.storage(*id, op),
            Output::Data(id, op) => self.data(*id, op),
            Output::Event(event) => self.event(event),
            Output::Close => self.close(),
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::Ended { why } = event {
            let broken = self.guard.control == Control::Broken || self.guard.begins() && self.guard.woken;
            self.demand(broken == (*why == Ending::TlsFailed), || {
                format!("ended for {why:?}, and TLS failed: {broken}")
            });
        }
    }

    fn close(&mut self) {
        self.closed = true;
        let begins = self.guard.begins();
        if begins {
            self.finish_auth();
        }
        let left = matches!(self.model.previous, Some(Situation::Goodbye)) && self.quitting;
        // While TLS begins there is no way to say why.
        let speechless =
            begins && (self.drained || self.guard.woken) || self.guard.control == Control::Broken;
        let reason = self.farewell.is_some() || self.lost || left || speechless;
        self.demand(reason, || "closed without a 421, a QUIT or the end of input".to_owned());
        let cut = self.unanswered.front().is_some_and(|front| front.marked);
        self.demand(!cut, || "closed in the middle of a transfer".to_owned());
        let unanswered = self.unanswered.len();
        self.demand(!left || unanswered == 0, || format!("QUIT left {unanswered} commands unanswered"));
        let orderly = self.orderly && self.farewell.is_none();
        self.demand(!orderly || unanswered == 0, || {
            format!("the end of input left {unanswered} commands unanswered")
        });
        let holds = self.holds;
        self.demand(!holds, || "closed, and a data connection is left open".to_owned());
        let done =
            self.under_way.iter().all(|(_, kind)| matches!(kind, Kind::Tls | Kind::Login | Kind::Reserve));
        let under_way = format!("{:?}", self.under_way);
        self.demand(done, || format!("closed while {under_way} was under way"));
    }

    fn begin(&mut self, id: OperationId, kind: Kind) {
        let other = self.under_way.iter().find(|(_, other)| other.family() == kind.family()).copied();
        self.demand(other.is_none(), || format!("{kind:?} {id} while {other:?} was under way"));
        self.new_id(id);
        let held = self.held;
        let begun =
            self.unanswered.front_mut().is_some_and(|front| std::mem::replace(&mut front.begun, true));
        self.demand(begun || !held, || format!("{kind:?} {id} for a command that is held back"));
        self.under_way.push((id, kind));
    }

    fn new_id(&mut self, id: OperationId) {
        let last = std::mem::replace(&mut self.last_id, id.0);
        self.demand(id.0 > last, || format!("id {id} after #{last}"));
    }

    fn storage(&mut self, id: OperationId, op: &StorageOp) {
        let kind = match op {
            StorageOp::Commit => Kind::Commit,
            StorageOp::Abandon => Kind::Abandon,
            _ => Kind::Storage,
        };
        let logged_in = self.logged_in;
        self.demand(logged_in, || format!("{op:?} without a login"));
        self.begin(id, kind);
        let front = self.unanswered.front();
        let running = front.and_then(Waiting::verb);
        let marked = front.is_some_and(|front| front.marked);
        let file = self.file;
        match op {
            StorageOp::OpenRetrieve { .. } | StorageOp::OpenListing { .. } | StorageOp::OpenUpload { .. } => {
                self.guard.begin_transfer();
                let fits = running.is_some_and(is_transfer) && !marked && file == File::Nothing;
                self.demand(fits, || format!("{op:?} for {running:?}, marked: {marked}, {file:?}"));
            }
            StorageOp::Commit => {
                let complete = matches!(self.data, Data::Finished { end: End::Complete, .. });
                let fits = running.is_some_and(is_upload) && marked && file == File::Open && complete;
                let data = self.data;
                self.demand(fits, || {
                    format!("a commit for {running:?}, marked: {marked}, {file:?}, {data:?}")
                });
            }
            StorageOp::Abandon => {
                self.demand(file == File::Open, || "nothing is open to be abandoned".to_owned())
            }
            StorageOp::Quota => {
                let fits = matches!(running, Some(Verb::Site | Verb::Stat));
                self.demand(fits, || format!("{op:?} for {running:?}"));
            }
            _ => self.demand(!running.is_some_and(is_transfer), || format!("{op:?} for {running:?}")),
        }
    }

    fn answered(&mut self, id: OperationId) {
        self.under_way.retain(|(known, _)| *known != id);
    }

    /// An answer is about to be handed in.
    pub fn login_answered(&mut self, id: OperationId, outcome: &LoginOutcome) {
        self.answered(id);
        self.logged_in = matches!(outcome, LoginOutcome::Accepted { .. });
        self.banned = matches!(outcome, LoginOutcome::Banned { .. });
        if let LoginOutcome::Accepted { need, .. } = outcome {
            self.guard.logged_in(*need);
        }
    }

    /// An answer is about to be handed in.
    pub fn storage_answered(&mut self, id: OperationId, outcome: &StorageOutcome) {
        let kind = self.under_way.iter().find(|(known, _)| *known == id).map(|(_, kind)| *kind);
        self.answered(id);
        match (kind, outcome) {
            (Some(Kind::Storage), StorageOutcome::Opened | StorageOutcome::UploadOpened(_)) => {
                self.file = File::Open
            }
            (Some(Kind::Commit), outcome) => {
                self.file = File::Nothing;
                if let Some(front) = self.unanswered.front_mut() {
                    front.completed = *outcome == StorageOutcome::Done;
                }
            }
            (Some(Kind::Abandon), _) => self.file = File::Nothing,
            _ => {}
        }
    }

    fn reply(&mut self, reply: &Reply) {
        let situation = reply.situation;
        self.check_form(reply);
        if situation.code() == 421 {
            return self.say_goodbye(situation);
        }
        if situation == Situation::Greeting {
            self.pairs.insert((None, situation));
            let first = !std::mem::replace(&mut self.greeted, true);
            return self.demand(first, || "greeted twice".to_owned());
        }
        if let Some(verb) = self.overtaker.take() {
            self.pairs.insert((Some(verb), situation));
            let expected = if verb == Verb::Noop { Situation::Noop } else { Situation::Status };
            return self.demand(situation == expected, || {
                format!("{} must be answered at once, before {}", verb.name(), situation.id())
            });
        }
        let Some(mut front) = self.unanswered.pop_front() else {
            return self.violations.push(format!("{} answers nothing", situation.id()));
        };
        let before = self.guard.data();
        self.guard.said(situation);
        if self.guard.data() != before {
            self.model.close_kept();
        }
        let welcome = matches!(situation, Situation::LoggedIn | Situation::LoggedInByCertificate);
        let logged_in = self.logged_in;
        self.demand(!welcome || logged_in, || format!("{} and nobody is logged in", situation.id()));
        let waits = self.held && !std::mem::replace(&mut front.begun, true);
        self.demand(!waits, || format!("{} answers what is held back", situation.id()));
        let (verb, fits) = match front.asked {
            Asked::Verb(verb) => (Some(verb), verb.row().may_answer(situation)),
            Asked::Unknown => (None, situation == Situation::Unknown),
            Asked::Empty => (None, situation == Situation::LineEmpty),
            Asked::TooLong => (None, situation == Situation::LineTooLong),
            Asked::Nul => (None, situation == Situation::LineNul),
        };
        self.demand(fits, || format!("{} answers {:?}", situation.id(), front.asked));
        self.pairs.insert((verb, situation));
        if situation == Situation::RestartMarker {
            return self.answer_marker(front);
        }
        let objection = self.model.objection(verb, situation);
        self.violations.extend(objection);
        if situation.code() < 200 {
            self.mark(&mut front, situation);
            self.unanswered.push_front(front);
        } else {
            self.finish(&front, verb, reply);
        }
    }

    fn say_goodbye(&mut self, situation: Situation) {
        self.farewell = Some(situation);
        let unanswered = self.unanswered.len();
        let front = self.unanswered.pop_front();
        let marked = front.as_ref().is_some_and(|front| front.marked);
        self.demand(!marked, || format!("{} in the middle of a transfer", situation.id()));
        let banned = self.banned;
        self.demand(banned == (situation == Situation::Banned), || {
            format!("{} to an address that is banned: {banned}", situation.id())
        });
        if situation == Situation::Shutdown && !self.shut_down {
            let drained = self.drained;
            // An AUTH, behind which this could not be read, is answered with it.
            let auth = front.as_ref().is_some_and(|front| front.verb() == Some(Verb::Auth));
            let unanswered = unanswered - usize::from(auth);
            self.demand(drained, || "session.shutdown, and nobody wants to end".to_owned());
            self.demand(unanswered == 0, || format!("the drain left {unanswered} commands unanswered"));
        }
        self.pairs.insert((front.and_then(|front| front.verb()), situation));
    }

    /// 110 is neither a mark nor an end: an upload runs before it and behind it.
    fn answer_marker(&mut self, front: Waiting) {
        let moves = self.under_way.iter().any(|(_, kind)| *kind == Kind::Move);
        let fits = front.marked && front.verb().is_some_and(is_upload) && moves;
        self.demand(fits, || format!("a restart marker is told of to {front:?}"));
        self.unanswered.push_front(front);
    }

    fn mark(&mut self, front: &mut Waiting, situation: Situation) {
        let open = self.file == File::Open;
        let fits = !front.marked && !front.aborted && open;
        self.demand(fits, || format!("{} for {front:?}, open: {open}", situation.id()));
        let standing = self.data == Data::Probed { standing: true };
        self.demand(standing == (situation.code() == 125), || {
            format!("{}, and the data connection stands: {standing}", situation.id())
        });
        front.marked = true;
        self.model.begin();
    }

    fn finish(&mut self, front: &Waiting, verb: Option<Verb>, reply: &Reply) {
        let situation = reply.situation;
        if verb.is_some_and(is_transfer) {
            let complete = matches!(situation.code(), 226 | 250);
            self.demand(complete == front.completed, || {
                format!("{} although completed: {}", situation.id(), front.completed)
            });
            let kept = matches!(self.data, Data::Finished { kept: true, .. });
            self.demand(!complete || kept == (situation.code() == 250), || {
                format!("{}, and the data connection stays: {kept}", situation.id())
            });
            let idle = self.under_way.is_empty() && self.file == File::Nothing;
            let (under_way, file) = (format!("{:?}", self.under_way), self.file);
            self.demand(idle, || format!("{} while {under_way}, {file:?}", situation.id()));
            let begun = matches!(situation.code(), 226 | 250 | 426 | 522);
            self.demand(front.marked || !begun, || format!("{} without a mark", situation.id()));
            let refusal = matches!(situation.code(), 500..=504 | 521 | 530 | 550 | 554 | 555);
            self.demand(!front.marked || !refusal, || format!("{} after the mark", situation.id()));
            self.must_release = verb.is_some_and(is_upload) && self.holds && !complete;
            self.model.end_connection(self.data, verb.is_some_and(is_upload), complete);
            self.data = Data::Nothing;
        }
        let unreadable = matches!(situation, Situation::LineTooLong | Situation::LineNul);
        self.must_release |= unreadable && self.holds;
        let closes = matches!(
            situation,
            Situation::Aborted
                | Situation::NothingToAbort
                | Situation::Reset
                | Situation::TlsBegins
                | Situation::Active
        );
        if closes {
            let holds = self.holds;
            self.demand(!holds, || format!("{} leaves a passive port open", situation.id()));
        }
        self.model.end(verb, front.marked, reply);
        // What stands for another MODE or PROT is closed before that is answered, and nobody is told that it stands.
        let fits = match self.kept {
            Some((protection, mode)) => protection == self.guard.data() && mode == self.model.mode,
            None => true,
        };
        let kept = self.kept;
        self.demand(fits, || format!("{} leaves {kept:?} open", situation.id()));
        let stands = self.model.arranged == Arranged::Kept;
        self.demand(stands == kept.is_some() || self.must_release, || {
            format!("{} leaves {kept:?}, and the client was told of one: {stands}", situation.id())
        });
    }

    /// A reply is one line, or lines of which only the last looks like the end.
    fn check_form(&mut self, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.write(&English, &mut bytes);
        let code = reply.situation.code().to_string();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap_or("\n").split("\r\n").collect();
        let (last, others) = lines.split_last().expect("split gives at least one");
        let fits = last.starts_with(&format!("{code} "))
            && !bytes.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r')
            && others.first().is_none_or(|first| first.starts_with(&format!("{code}-")))
            && others.iter().skip(1).all(|line| line.starts_with(' '));
        self.demand(fits, || format!("a reply of a wrong form: {text:?}"));
    }
}
