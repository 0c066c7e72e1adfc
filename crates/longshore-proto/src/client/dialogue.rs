//! The dialogue itself: requests that wait, commands that were written, and whose answer a reply is.
//!
//! Not inside: what is written next ([`schedule`](super::schedule)), what replies to single commands mean
//! ([`commands`](super::commands)), how data connections come about ([`arrangement`](super::arrangement)), transfers
//! ([`transfers`](super::transfers)), and the end ([`ending`](super::ending)).

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::arrangement::Link;
use super::commands::Known;
use super::reply::{Class, Parser, Reply};
use super::transfers::Flight;
use super::write::{self, CommandLine};
use super::{
    Answer, Connection, DataEvent, DataOp, Event, Fate, Input, Loss, Moment, OperationId, Options, Output,
    Refusal, Request, RequestId, TlsEvent,
};
use crate::limits::{AHEAD_LIMIT_BYTES, AHEAD_LIMIT_COMMANDS, MISMATCHED_END_SECONDS, UNASKED_REPLIES_LIMIT};
use crate::line::Line;
use crate::verbs::Verb;

/// One control connection of a client.
#[derive(Debug)]
pub struct Dialogue {
    pub(super) options: Options,
    pub(super) connection: Connection,
    pub(super) now: Moment,
    pub(super) phase: Phase,
    pub(super) tasks: Tasks,
    pub(super) wire: Wire,
    pub(super) known: Known,
    pub(super) data: Data,
    pub(super) awaits: Awaits,
    parser: Parser,
    /// When the last line came, for replies whose end is in doubt.
    last_line: Moment,
    pub(super) out: VecDeque<Output>,
    next_operation: u64,
    /// Replies that nothing asked for.
    unasked: usize,
}

/// Where the control connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The greeting is awaited, since then.
    Greeting(Moment),
    /// Commands may be sent.
    Ready,
    /// It is lost.
    Closed(Loss),
}

/// What is awaited beside replies. Nothing is written meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    Nothing,
    /// TLS on the control connection, for this request, or before the greeting.
    Tls {
        operation: OperationId,
        until: Moment,
        request: Option<RequestId>,
    },
    /// A data connection for this request; `until` is gone once it was cancelled.
    Connection {
        operation: OperationId,
        until: Option<Moment>,
        request: RequestId,
        verb: Verb,
        address: SocketAddr,
    },
    /// A listener for this request.
    Listener {
        operation: OperationId,
        request: RequestId,
    },
}

/// The requests that are not answered yet, in order.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    queue: VecDeque<Task>,
    next_id: u64,
    /// No request before this one waits to be written.
    next_waiting: u64,
    /// Requests whose stage is a transfer.
    pub(super) flights: usize,
}

/// One request.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) stage: Stage,
    /// Nobody wants it any more.
    pub(super) aborted: bool,
    /// REST was taken for it.
    pub(super) restarted: bool,
    /// How often it was asked again.
    pub(super) repeats: u32,
}

/// How far a request is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The command that does it is not written.
    Waiting,
    /// A command is written whose answer is the request's, or leads to it.
    Written,
    /// A transfer's command is written.
    Transfer(Flight),
    /// Its answer is known and waits for those before it.
    Finished(Result<Answer, Refusal>),
}

/// The commands without a final reply, in order.
#[derive(Debug)]
pub(super) struct Wire {
    queue: VecDeque<Written>,
    bytes: usize,
    /// Since when the answer to the first one is awaited.
    pub(super) since: Moment,
    /// An ABOR was given up whose answer may still come.
    pub(super) late_abort: bool,
}

/// One command without a final reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) request: RequestId,
    pub(super) step: Step,
    bytes: usize,
    /// Nothing is written behind it.
    barrier: bool,
}

/// What a command was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To set what the request needs.
    Set(super::commands::Setting),
    /// To learn whether the server has a mode.
    Learn,
    /// To arrange a data connection: EPSV, PASV, EPRT, PORT.
    Arrange(Verb),
    /// REST.
    Restart,
    /// USER, PASS, ACCT.
    LogIn(Verb),
    /// AUTH.
    Protect,
    /// RNFR.
    RenameFrom,
    /// The command that does what is asked, whose answer is the request's.
    Main(Verb),
    /// ABOR.
    Abort,
}

/// Data connections.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) link: Option<Link>,
    /// The job that runs.
    pub(super) running: Option<Running>,
    /// How many transfers may be without an answer: grows from 1 after each loss.
    pub(super) pace: usize,
}

/// A job that runs on a data connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) operation: OperationId,
    pub(super) request: RequestId,
    pub(super) cancelled: bool,
}

impl Dialogue {
    /// Begins, with the greeting (or TLS) awaited.
    pub fn new(mut options: Options, connection: Connection, now: Moment) -> Dialogue {
        options.ahead.commands = options.ahead.commands.clamp(1, AHEAD_LIMIT_COMMANDS);
        options.ahead.bytes = options.ahead.bytes.min(AHEAD_LIMIT_BYTES);
        let implicit = options.implicit_tls;
        let pace = options.ahead.commands;
        let mut dialogue = Dialogue {
            options,
            connection,
            now,
            phase: Phase::Greeting(now),
            tasks: Tasks::default(),
            wire: Wire { queue: VecDeque::new(), bytes: 0, since: now, late_abort: false },
            known: Known::default(),
            data: Data { pace, ..Data::default() },
            awaits: Awaits::Nothing,
            parser: Parser::default(),
            last_line: now,
            out: VecDeque::new(),
            next_operation: 0,
            unasked: 0,
        };
        if implicit {
            dialogue.begin_tls(None);
        }
        dialogue
    }

    /// Asks for something. Exactly one [`Output::Done`] answers it.
    pub fn ask(&mut self, now: Moment, request: Request) -> RequestId {
        self.now = self.now.max(now);
        let id = self.tasks.push(request);
        if let Phase::Closed(why) = &self.phase {
            let refusal = Refusal::Lost { fate: Fate::NotDone, why: why.clone() };
            self.finish(id, Err(refusal));
        }
        id
    }

    /// Stops a transfer, or a request that has not begun; its answer is then [`Refusal::Aborted`]. Other requests are
    /// carried out nevertheless, transfers behind it if need be over a new data connection. Requests that are no
    /// transfers and have begun, and those that are answered, are left alone.
    pub fn abort(&mut self, now: Moment, id: RequestId) {
        self.now = self.now.max(now);
        let Some(task) = self.tasks.get_mut(id) else { return };
        match &task.stage {
            Stage::Waiting => {
                task.aborted = true;
                self.give_up_connecting(id);
            }
            Stage::Transfer(_) => {
                task.aborted = true;
                self.abort_if_it_runs();
            }
            Stage::Written | Stage::Finished(_) => {}
        }
    }

    /// Hands in what happened. Time never goes back.
    pub fn handle(&mut self, now: Moment, input: Input<'_>) {
        self.now = self.now.max(now);
        if self.is_closed() {
            return;
        }
        match input {
            Input::Line(line) => self.handle_line(line),
            Input::EndOfInput => self.handle_end_of_input(),
            Input::Reset => self.lose(Loss::Reset),
            Input::Tls(id, event) => self.handle_tls(id, event),
            Input::Data(id, event) => self.handle_data(id, event),
            Input::Timeout => self.handle_timeout(),
        }
    }

    /// The next thing to carry out; `None` when it is the driver's turn.
    #[allow(
        clippy::should_implement_trait,
        reason = "no iterator: whoever drives it hands in what happened between two calls"
    )]
    pub fn next(&mut self) -> Option<Output> {
        let mut output = self.out.pop_front();
        while output.is_none() && self.proceed() {
            output = self.out.pop_front();
        }
        output
    }

    /// Whether the dialogue has ended and [`Output::Close`] was given out (or is about to be).
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// How it has ended, if it has.
    pub fn loss(&self) -> Option<&Loss> {
        match &self.phase {
            Phase::Closed(why) => Some(why),
            Phase::Greeting(_) | Phase::Ready => None,
        }
    }

    /// Requests that are not answered.
    pub fn unanswered(&self) -> usize {
        self.tasks.queue.len()
    }

    fn handle_line(&mut self, line: Line<'_>) {
        self.last_line = self.now;
        match self.parser.read(line) {
            Ok(None) => {}
            Ok(Some(reply)) => self.handle_reply(reply),
            Err(error) => self.lose(Loss::Unreadable(error)),
        }
    }

    /// When a reply whose end is in doubt is taken as it is.
    pub(super) fn doubt_ends(&self) -> Option<Moment> {
        let patience = std::time::Duration::from_secs(MISMATCHED_END_SECONDS);
        self.parser.is_doubtful().then(|| self.last_line + patience)
    }

    pub(super) fn end_doubt(&mut self) {
        if let Some(reply) = self.parser.settle() {
            self.handle_reply(reply);
        }
    }

    fn handle_reply(&mut self, reply: Reply) {
        if let Phase::Greeting(_) = self.phase {
            match reply.class() {
                Class::Mark => {}
                Class::Completion => {
                    self.phase = Phase::Ready;
                    self.push(Output::Event(Event::Greeting(reply)));
                }
                _ => self.lose(Loss::Said(reply)),
            }
            return;
        }
        if reply.code == 421 {
            return self.lose(Loss::Said(reply));
        }
        if self.wire.late_abort && !self.front_is_transfer() && matches!(reply.code, 225 | 226 | 426) {
            self.wire.late_abort = false;
            return self.push(Output::Event(Event::Unasked(reply)));
        }
        if reply.code == 225 && self.abort_is_out() {
            self.drop_transfers_before_abort();
        }
        let Some(&front) = self.wire.queue.front() else {
            self.unasked += 1;
            if self.unasked > UNASKED_REPLIES_LIMIT {
                return self.lose(Loss::OutOfStep(reply));
            }
            return self.push(Output::Event(Event::Unasked(reply)));
        };
        if reply.class() == Class::Mark {
            // What is no transfer may have one, too; another reply follows.
            if let Step::Main(_) = front.step {
                self.handle_mark(front.request);
            }
            return;
        }
        self.pop_written();
        self.answered(front, reply);
        self.abort_if_it_runs();
    }

    /// The first command has its final reply.
    pub(super) fn pop_written(&mut self) -> Option<Written> {
        let written = self.wire.queue.pop_front()?;
        self.wire.bytes -= written.bytes;
        self.wire.since = self.now;
        Some(written)
    }

    fn answered(&mut self, written: Written, reply: Reply) {
        let id = written.request;
        match written.step {
            Step::Set(setting) => self.setting_answered(id, setting, reply),
            Step::Learn => self.features_answered(None, reply),
            Step::Arrange(verb) => self.arrangement_answered(id, verb, reply),
            Step::Restart => self.restart_answered(id, reply),
            Step::LogIn(verb) => self.login_answered(id, verb, reply),
            Step::Protect => self.protect_answered(id, reply),
            Step::RenameFrom => self.rename_answered(id, reply),
            Step::Main(verb) if self.is_flight(id) => self.transfer_answered(id, verb, reply),
            Step::Main(_) => self.main_answered(id, reply),
            Step::Abort => {}
        }
    }

    fn handle_data(&mut self, id: OperationId, event: DataEvent) {
        match (event, self.awaits) {
            (DataEvent::Moved { bytes, end }, _) => self.moved(id, bytes, end),
            (DataEvent::Closed, _) => self.link_closed(id),
            (event, Awaits::Connection { operation, request, verb, address, .. }) if operation == id => {
                self.awaits = Awaits::Nothing;
                self.connected(request, operation, verb, address, event);
            }
            (event, Awaits::Listener { operation, request }) if operation == id => {
                self.awaits = Awaits::Nothing;
                self.listening(request, operation, event);
            }
            _ => {}
        }
    }

    fn handle_tls(&mut self, id: OperationId, event: TlsEvent) {
        let Awaits::Tls { operation, request, .. } = self.awaits else { return };
        if operation != id {
            return;
        }
        self.awaits = Awaits::Nothing;
        match event {
            TlsEvent::BytesBehind => self.lose(Loss::BytesBehind),
            TlsEvent::Failed(why) => self.lose(Loss::TlsFailed(why)),
            TlsEvent::Up => self.tls_is_up(request),
        }
    }

    pub(super) fn begin_tls(&mut self, request: Option<RequestId>) {
        let operation = self.new_operation();
        let until = self.now + self.options.handshake_timeout;
        self.awaits = Awaits::Tls { operation, until, request };
        self.push(Output::StartTls(operation));
    }

    pub(super) fn new_operation(&mut self) -> OperationId {
        self.next_operation += 1;
        OperationId(self.next_operation)
    }

    pub(super) fn push(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(super) fn push_data(&mut self, id: OperationId, op: DataOp) {
        self.push(Output::Data(id, op));
    }

    /// Writes a command.
    pub(super) fn write(&mut self, request: RequestId, step: Step, line: CommandLine, barrier: bool) {
        if self.wire.queue.is_empty() {
            self.wire.since = self.now;
        }
        let bytes = line.bytes().len();
        self.wire.bytes += bytes;
        self.wire.queue.push_back(Written { request, step, bytes, barrier });
        self.push(Output::Send(line));
    }

    /// Writes a command that needs no check: its argument is ours, or was looked at. What cannot be sent ends the
    /// request.
    pub(super) fn write_or_refuse(
        &mut self,
        request: RequestId,
        step: Step,
        line: Result<CommandLine, write::Unsendable>,
        barrier: bool,
    ) {
        match line {
            Ok(line) => self.write(request, step, line, barrier),
            Err(error) => self.finish(request, Err(error.into())),
        }
    }

    /// A request's answer is known; it leaves when those before it have left.
    pub(super) fn finish(&mut self, id: RequestId, result: Result<Answer, Refusal>) {
        self.set_stage(id, Stage::Finished(result));
        while let Some(task) = self.tasks.queue.pop_front_if(|task| matches!(task.stage, Stage::Finished(_)))
        {
            if let Stage::Finished(result) = task.stage {
                self.push(Output::Done(task.id, result));
            }
        }
    }

    /// The only way from one stage to another, so that the number of transfers is right.
    pub(super) fn set_stage(&mut self, id: RequestId, stage: Stage) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let was = matches!(task.stage, Stage::Transfer(_));
        let is = matches!(stage, Stage::Transfer(_));
        let waits = matches!(stage, Stage::Waiting);
        task.stage = stage;
        self.tasks.flights = self.tasks.flights + usize::from(is) - usize::from(was);
        if waits {
            self.tasks.next_waiting = self.tasks.next_waiting.min(id.0);
        }
    }

    fn front_is_transfer(&self) -> bool {
        self.wire.front().is_some_and(|written| self.is_flight(written.request))
    }

    fn is_flight(&self, id: RequestId) -> bool {
        matches!(self.tasks.get(id), Some(Task { stage: Stage::Transfer(_), .. }))
    }
}

impl Wire {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Written> {
        self.queue.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Written> {
        self.queue.iter()
    }

    /// Whether nothing may be written behind the last one.
    pub(super) fn is_barred(&self) -> bool {
        self.queue.back().is_some_and(|written| written.barrier)
    }

    /// Whether another command of so many bytes may be written; the first one always may.
    pub(super) fn has_room(&self, commands: usize, limit_bytes: usize, bytes: usize) -> bool {
        self.queue.is_empty() || (self.queue.len() < commands && self.bytes + bytes <= limit_bytes)
    }
}

impl Tasks {
    fn push(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.queue.push_back(Task {
            id,
            request,
            stage: Stage::Waiting,
            aborted: false,
            restarted: false,
            repeats: 0,
        });
        id
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&Task> {
        self.queue.get(self.index(id)?)
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Task> {
        let index = self.index(id)?;
        self.queue.get_mut(index)
    }

    /// Ids are given in order and requests leave in order, so the distance from the first is the place.
    fn index(&self, id: RequestId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(self.queue.front()?.id.0)?).ok()
    }

    /// The first request whose command is not written.
    pub(super) fn first_waiting(&mut self) -> Option<RequestId> {
        let first = self.queue.front()?.id.0;
        let mut id = self.next_waiting.max(first);
        while let Some(task) = self.get(RequestId(id)) {
            if matches!(task.stage, Stage::Waiting) {
                break;
            }
            id += 1;
        }
        self.next_waiting = id;
        (id < self.next_id).then_some(RequestId(id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.queue.iter()
    }
}
