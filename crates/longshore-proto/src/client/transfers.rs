//! Transfers: their commands, marks, bytes and final replies, and what becomes of those behind one that was lost. The
//! rules are those of the [module](super).
//!
//! Not inside: the bytes, and how data connections come about ([`arrangement`](super::arrangement)).

use super::arrangement::is_unknown;
use super::dialogue::{Dialogue, Running, Stage, Step, Task};
use super::reply::{Class, Reply};
use super::schedule::{is_upload, offset};
use super::write::{self, CommandLine};
use super::{
    Answer, DataOp, End, Event, FileForm, ListForm, OperationId, Output, Refusal, Request, RequestId,
    TransferJob,
};
use crate::limits::ASK_AGAIN_LIMIT;
use crate::verbs::Verb;

/// A transfer whose command was written.
#[derive(Debug)]
pub(super) struct Flight {
    verb: Verb,
    /// Whether it is the first on its data connection.
    first: bool,
    marked: bool,
    movement: Movement,
    /// The final reply.
    ending: Option<Ending>,
    /// An ABOR for another transfer was sent behind its command.
    before_abort: bool,
    /// Whether what ended its data connection was a cut, not a refusal.
    behind_cut: bool,
    /// Our side has stopped it. The server may not know: a connection that is gone before it looks is none to it.
    given_up: bool,
}

/// The bytes of a transfer.
#[derive(Debug)]
enum Movement {
    NotBegun,
    Running,
    Ended { bytes: u64, end: End },
}

/// The end of a transfer on the control connection.
#[derive(Debug)]
enum Ending {
    Reply(Reply),
    /// It was aborted, and only the ABOR was answered.
    Unanswered,
}

/// What a transfer came to.
enum Outcome {
    Finished(Result<Answer, Refusal>),
    /// It had no effect for no fault of its own.
    Again(Option<Reply>),
    /// MLSD is not known: LIST is the same wish.
    PlainList,
}

impl Dialogue {
    /// Writes a transfer's command if it may be written now; whether it was.
    pub(super) fn write_transfer(&mut self, id: RequestId, verb: Verb, line: CommandLine) -> bool {
        let Some(link) = &mut self.data.link else { return false };
        let shared = link.is_shared;
        let commands = if shared { self.options.ahead.commands.min(self.data.pace.max(1)) } else { 1 };
        if !self.wire.has_room(commands, self.options.ahead.bytes, line.bytes().len()) {
            return false;
        }
        let first = link.fresh_for.take() == Some(id);
        link.queue.push_back(id);
        self.known.restart_is_set = false;
        // What may have to be asked for in another way holds up what comes behind it.
        let barrier = verb == Verb::Mlsd && self.known.doubts_facts();
        self.write(id, Step::Main(verb), line, barrier);
        self.set_stage(
            id,
            Stage::Transfer(Flight {
                verb,
                first,
                marked: false,
                movement: Movement::NotBegun,
                ending: None,
                before_abort: false,
                behind_cut: false,
                given_up: false,
            }),
        );
        self.advance();
        true
    }

    /// REST was answered.
    pub(super) fn restart_answered(&mut self, id: RequestId, reply: Reply) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let wanted = offset(&task.request) > 0;
        match reply.class() {
            Class::Intermediate | Class::Completion => {
                task.restarted = wanted;
                self.known.restart_is_set = wanted;
            }
            _ => self.refuse(id, Verb::Rest.name(), reply),
        }
    }

    fn flight_mut(&mut self, id: RequestId) -> Option<&mut Flight> {
        match self.tasks.get_mut(id) {
            Some(Task { stage: Stage::Transfer(flight), .. }) => Some(flight),
            _ => None,
        }
    }

    /// A 1yz: what comes over the data connection next is this transfer's.
    pub(super) fn handle_mark(&mut self, id: RequestId) {
        let now = self.now;
        let Some(flight) = self.flight_mut(id) else { return };
        // Others follow within a transfer: 110 (RFC 959 section 4.2).
        if !std::mem::replace(&mut flight.marked, true) {
            self.wire.since = now;
            self.advance();
        }
    }

    /// Begins the next job of the data connection, if its turn has come; else closes it if it has served.
    fn advance(&mut self) {
        let Some(link) = &self.data.link else { return };
        if self.data.running.is_some() {
            return;
        }
        let next = link.queue.front().copied();
        let (Some(id), true) = (next, next.is_some_and(|id| link.ends_before.is_none_or(|end| id < end)))
        else {
            if link.ends_before.is_some() {
                self.close_link();
            }
            return;
        };
        let (connection, mode, protection) = (link.id, link.mode, link.protection);
        let keeps_connection = link.is_shared;
        let Some(task) = self.tasks.get(id) else { return };
        let Stage::Transfer(flight) = &task.stage else { return };
        // A connection that ends before the server looks at it is no connection to many: in stream mode an upload waits.
        let early =
            is_upload(flight.verb) == keeps_connection && (self.options.ahead.data || !keeps_connection);
        if task.aborted || !(flight.marked || early) {
            return;
        }
        let FileForm { representation, structure } = match &task.request {
            Request::Retrieve { form, .. } | Request::Store { form, .. } => *form,
            _ => FileForm {
                representation: self.known.representation.unwrap_or_default(),
                structure: crate::command::Structure::File,
            },
        };
        let job = TransferJob {
            request: id,
            connection,
            verb: flight.verb,
            offset: offset(&task.request),
            representation,
            structure,
            mode,
            keeps_connection,
            protection,
            stall_timeout: self.options.stall_timeout,
        };
        let op = if is_upload(flight.verb) { DataOp::Send(job) } else { DataOp::Receive(job) };
        let operation = self.new_operation();
        if let Some(flight) = self.flight_mut(id) {
            flight.movement = Movement::Running;
        }
        self.data.running = Some(Running { operation, request: id, cancelled: false });
        self.push_data(operation, op);
    }

    /// The bytes have moved, or not.
    pub(super) fn moved(&mut self, operation: OperationId, bytes: u64, end: End) {
        let running = self.data.running.take_if(|running| running.operation == operation);
        let Some(Running { request: id, .. }) = running else { return };
        self.wire.since = self.now;
        if let Some(link) = &mut self.data.link {
            link.queue.retain(|&queued| queued != id);
            if end != End::Complete {
                self.end_link(RequestId(id.0 + 1), true);
            }
        }
        if let Some(flight) = self.flight_mut(id) {
            flight.given_up = matches!(end, End::Local(_) | End::Stalled);
            flight.movement = Movement::Ended { bytes, end };
            self.settle(id);
        }
        self.abort_if_it_runs();
        self.advance();
    }

    /// The final reply to a transfer.
    pub(super) fn transfer_answered(&mut self, id: RequestId, verb: Verb, reply: Reply) {
        let aborted = self.tasks.get(id).is_some_and(|task| task.aborted);
        let Some(flight) = self.flight_mut(id) else { return };
        let taken = reply.class() == Class::Completion && !aborted;
        let marked = flight.marked;
        // What says that nothing is arranged, or ends a transfer that had begun, leaves no data connection.
        let lost = !taken && (marked || is_upload(verb) || is_not_arranged(&reply));
        let closing = taken && reply.code == 226;
        flight.ending = Some(Ending::Reply(reply));
        if let Some(link) = &mut self.data.link {
            link.queue.retain(|&queued| queued != id || taken);
            if lost {
                self.end_link(id, marked);
            } else if closing {
                self.end_link(RequestId(id.0 + 1), false);
            }
        }
        self.settle(id);
        self.advance();
    }

    /// The server serves nothing on the data connection from this request on: what was sent for it is lost.
    fn end_link(&mut self, before: RequestId, by_cut: bool) {
        let Some(link) = &mut self.data.link else { return };
        let end = link.ends_before.map_or(before, |end| end.min(before));
        link.ends_before = Some(end);
        let lost: Vec<RequestId> = link.queue.iter().copied().filter(|&id| id >= end).collect();
        if link.is_shared && !lost.is_empty() {
            self.data.pace = 1;
        }
        for id in lost {
            if let Some(flight) = self.flight_mut(id) {
                flight.behind_cut = by_cut;
            }
        }
        if self.data.running.is_some_and(|running| running.request >= end) {
            self.close_link();
        }
    }

    /// Ends a transfer of which both sides are known, the final reply and the bytes.
    fn settle(&mut self, id: RequestId) {
        let Some(task) = self.tasks.get(id) else { return };
        let Stage::Transfer(flight) = &task.stage else { return };
        let Some(ending) = &flight.ending else { return };
        let taken = matches!(ending, Ending::Reply(reply) if reply.class() == Class::Completion);
        match flight.movement {
            // What the server has refused or stopped need not be waited for, only its end.
            Movement::Running if !taken || task.aborted => return self.cancel_running(),
            Movement::Running => return,
            // The final reply has come before the job's turn.
            Movement::NotBegun if taken && flight.marked && self.will_advance(id) => return,
            Movement::NotBegun | Movement::Ended { .. } => {}
        }
        let shared = self.data.link.as_ref().is_some_and(|link| link.is_shared);
        let verb = flight.verb;
        let outcome = self.outcome(task, flight, ending);
        if !shared {
            self.close_link();
        }
        match outcome {
            Outcome::Finished(result) => {
                if result.is_ok() {
                    if verb == Verb::Mlsd {
                        self.known.facts = Some(true);
                    }
                    self.data.pace = self.data.pace.saturating_mul(2).clamp(1, self.options.ahead.commands);
                }
                self.finish(id, result);
            }
            Outcome::Again(reply) => {
                self.push(Output::Event(Event::AskedAgain(id, reply)));
                self.ask_again(id);
            }
            Outcome::PlainList => {
                self.known.facts = Some(false);
                self.ask_again(id);
            }
        }
    }

    /// Whether the job of this transfer will still begin.
    fn will_advance(&self, id: RequestId) -> bool {
        self.data
            .link
            .as_ref()
            .is_some_and(|link| link.queue.contains(&id) && link.ends_before.is_none_or(|end| id < end))
    }

    fn outcome(&self, task: &Task, flight: &Flight, ending: &Ending) -> Outcome {
        let (bytes, end) = match &flight.movement {
            Movement::Ended { bytes, end } => (*bytes, Some(end.clone())),
            Movement::NotBegun | Movement::Running => (0, None),
        };
        let reply = match ending {
            Ending::Reply(reply) => Some(reply.clone()),
            Ending::Unanswered => None,
        };
        let may_repeat =
            task.repeats < ASK_AGAIN_LIMIT && (self.options.ask_again_after_cut || !flight.behind_cut);
        if flight.given_up && !task.aborted {
            return Outcome::Finished(Err(Refusal::Cut { bytes, end, reply }));
        }
        let (false, Some(reply)) = (task.aborted, reply.clone()) else {
            // Only an ABOR leaves a transfer without a reply, and it may have been for another one.
            return match task.aborted || !may_repeat {
                true => Outcome::Finished(Err(Refusal::Aborted { bytes, reply })),
                false => Outcome::Again(None),
            };
        };
        let command = flight.verb.name();
        let taken = reply.class() == Class::Completion;
        let lost_link = !flight.first && !flight.marked && is_not_arranged(&reply);
        // Whatever the server has made of it, none of its bytes have moved.
        let never_begun = (flight.marked || taken) && end.is_none();
        // A part that was appended already must not be appended twice.
        let is_partly_appended = flight.marked && flight.verb == Verb::Appe && bytes > 0;
        let caught_by_abort = flight.before_abort && !taken && !is_partly_appended;
        Outcome::Finished(match end {
            _ if may_repeat && (lost_link || never_begun || caught_by_abort) => {
                return Outcome::Again(Some(reply));
            }
            Some(End::Complete) if taken => Ok(Answer::Moved { verb: flight.verb, bytes, reply }),
            _ if !taken && !flight.marked && is_empty_list(task, &reply) => {
                Ok(Answer::Moved { verb: flight.verb, bytes: 0, reply })
            }
            _ if !taken && !flight.marked && flight.verb == Verb::Mlsd && is_unknown(&reply) => {
                return Outcome::PlainList;
            }
            _ if !taken && !flight.marked => Err(Refusal::Replied { command, reply }),
            end => Err(Refusal::Cut { bytes, end, reply: Some(reply) }),
        })
    }

    /// Puts a transfer back to where it was before its command was written. It begins anew when everything that was
    /// written is answered, so that the order stays.
    fn ask_again(&mut self, id: RequestId) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.repeats += 1;
            task.restarted = false;
        }
        self.set_stage(id, Stage::Waiting);
    }

    /// Whether an ABOR is without an answer.
    pub(super) fn abort_is_out(&self) -> bool {
        self.wire.iter().any(|written| written.step == Step::Abort)
    }

    /// Sends ABOR when the transfer that runs is one that nobody wants, or that our side has given up: its command is the
    /// first without an answer.
    pub(super) fn abort_if_it_runs(&mut self) {
        let Some(front) = self.wire.front() else { return };
        let id = front.request;
        let unwanted = match self.tasks.get(id) {
            Some(Task { stage: Stage::Transfer(flight), aborted, .. }) => *aborted || flight.given_up,
            _ => false,
        };
        if !unwanted || self.abort_is_out() {
            return;
        }
        for id in self.wire.iter().map(|written| written.request).collect::<Vec<_>>() {
            if let Some(flight) = self.flight_mut(id) {
                flight.before_abort = true;
            }
        }
        let Ok(line) = write::command(Verb::Abor.name(), None) else { return };
        if self.options.urgent_abort {
            self.push(Output::SendSynch);
        }
        self.write(id, Step::Abort, line, true);
        // Bytes of a transfer before it, which the server has sent already, may still be on their way.
        self.end_link(id, false);
        self.advance();
    }

    /// A 225 answers ABOR and nothing else: the transfers before it are not answered any more.
    pub(super) fn drop_transfers_before_abort(&mut self) {
        while let Some(front) = self.wire.front().copied()
            && front.step != Step::Abort
        {
            self.pop_written();
            if let Some(flight) = self.flight_mut(front.request) {
                flight.ending = Some(Ending::Unanswered);
                self.settle(front.request);
            }
        }
    }
}

/// Whether a reply says that there is no data connection (RFC 959: 425; 503 where nothing was arranged).
fn is_not_arranged(reply: &Reply) -> bool {
    matches!(reply.code, 425 | 503)
}

/// Some servers refuse to list a directory that holds nothing.
fn is_empty_list(task: &Task, reply: &Reply) -> bool {
    const WORDS: &[&[u8]] = &[b"no files found", b"no members found", b"no data sets found"];
    let text = reply.text().to_ascii_lowercase();
    let says_so = WORDS.iter().any(|words| text.windows(words.len()).any(|window| window == *words));
    let Request::List { form: ListForm::Long | ListForm::Names | ListForm::Facts, .. } = task.request else {
        return false;
    };
    matches!(reply.code, 450 | 550) && says_so
}
