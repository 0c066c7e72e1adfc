//! One transfer from its command to its final answer.
//!
//! Not inside: the bytes, the data connection and the file, which the driver holds; and what is arranged for the
//! next transfer ([`arrangement`](super::arrangement)).
//!
//! ```text
//! Opening ─▶ Probing ─▶ 125 or 150 ─▶ Connecting ─▶ Moving ─▶ (Committing) ─▶ one final answer
//!    │          └ stopped ─▶ Abandoning ─▶ 450             └ cut ─▶ Abandoning ─▶ 426, 451, 452 …
//!    └ refused ─▶ 550, 553 …, no mark
//! ```

mod outcome;

use longshore_path::VirtualPath;

use super::arrangement::Route;
use super::session::{Session, Stage};
use super::settings::Restart;
use super::{
    Channel, DataEvent, DataOp, End, Event, ListingFormat, Moment, OperationId, Output, Plan, Protection,
    StorageOp, StorageOutcome, TransferJob, UploadStart,
};
use crate::listing::Pattern;
use crate::reply::{Reply, Situation};
use crate::transmission::{Marker, Structure};
use crate::verbs::{Direction, Failure, Verb};

/// A transfer command that runs.
#[derive(Debug)]
pub(super) struct Transfer {
    verb: Verb,
    direction: Direction,
    path: VirtualPath,
    offset: u64,
    protection: Protection,
    /// Whether the data connection of the transfer before is used.
    kept: bool,
    plan: Plan,
    /// For a listing: what to try when no file has the literal name.
    wildcard: Option<Wildcard>,
    route: Route,
    step: Step,
    /// Whether the 1yz was sent.
    marked: bool,
    /// Why it must end early.
    stop: Option<Stop>,
    /// Bytes moved, once that is known.
    bytes: u64,
}

#[derive(Debug)]
struct Wildcard {
    directory: VirtualPath,
    pattern: Pattern,
    format: ListingFormat,
}

/// What is awaited.
#[derive(Debug)]
enum Step {
    /// The file or directory.
    Opening { id: OperationId },
    /// Whether the data connection stands already.
    Probing { id: OperationId },
    /// The data connection, until the deadline.
    Connecting { id: OperationId, deadline: Moment },
    /// The bytes.
    Moving { id: OperationId },
    /// The upload to be stored. Cannot be stopped.
    Committing { id: OperationId },
    /// What was opened to be closed, and then this answer.
    Abandoning { id: OperationId, reply: Reply },
}

/// Why a transfer ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Abort,
    Shutdown,
    /// Nobody is left to hear the answer.
    ControlLost,
    /// Nobody connected in time.
    ConnectTimeout,
}

impl Session {
    pub(super) fn begin_retrieve(&mut self, verb: Verb, raw: &[u8], restart: Restart) {
        let Some((path, offset)) = self.transfer_path(verb, raw, restart) else { return };
        let op = StorageOp::OpenRetrieve { path: path.clone(), offset };
        self.begin_transfer(verb, path, offset, Plan::File, None, op);
    }

    pub(super) fn begin_upload(&mut self, verb: Verb, raw: &[u8], start: UploadStart, restart: Restart) {
        let Some((path, offset)) = self.transfer_path(verb, raw, restart) else {
            let held = self.arrangement.refuse_upload();
            return self.let_go(held);
        };
        // REST 0 is no restart; APPE after REST is as STOR after REST (RFC 3659 section 5.3).
        let start = if offset > 0 { UploadStart::At(offset) } else { start };
        let op = StorageOp::OpenUpload { path: path.clone(), start };
        self.begin_transfer(verb, path, offset, Plan::File, None, op);
    }

    pub(super) fn begin_listing(&mut self, verb: Verb, raw: Option<Vec<u8>>) {
        let raw = raw.unwrap_or_default();
        let named: &[u8] = if raw.is_empty() { b"." } else { &raw };
        let Some((path, _)) = self.transfer_path(verb, named, Restart::None) else { return };
        let names_prefix = |prefix: &[u8]| ListingFormat::Names(prefix.to_vec());
        let format = match verb {
            Verb::Nlst if raw.is_empty() => names_prefix(b""),
            Verb::Nlst if raw.ends_with(b"/") => names_prefix(&raw),
            Verb::Nlst => names_prefix(&[&raw, &b"/"[..]].concat()),
            Verb::Mlsd => ListingFormat::Facts(self.settings.facts),
            _ => ListingFormat::Long,
        };
        let wildcard = match verb {
            Verb::Mlsd => None,
            _ => self.wildcard(verb, &raw),
        };
        let op = StorageOp::OpenListing { path: path.clone(), directory_only: verb == Verb::Mlsd };
        let plan = Plan::Listing { format, pattern: None };
        self.begin_transfer(verb, path, 0, plan, wildcard, op);
    }

    /// `dir/*.txt` as a directory and what its names must look like.
    fn wildcard(&self, verb: Verb, raw: &[u8]) -> Option<Wildcard> {
        let slash = raw.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (prefix, last) = raw.split_at(slash);
        let pattern = Pattern::parse(last)?;
        let directory = self.resolve(verb, if prefix.is_empty() { b"." } else { prefix }).ok()?;
        let format = match verb {
            Verb::Nlst => ListingFormat::Names(prefix.to_vec()),
            _ => ListingFormat::Long,
        };
        Some(Wildcard { directory, pattern, format })
    }

    /// What every transfer needs before storage is asked: an arrangement, a sound REST, a path. A refusal has been
    /// said when there is none.
    fn transfer_path(&mut self, verb: Verb, raw: &[u8], restart: Restart) -> Option<(VirtualPath, u64)> {
        let refusal = match (self.arrangement.route(), restart) {
            // Said even when nothing is arranged either: else the next transfer would begin at 0 unnoticed.
            (_, Restart::Broken(offset)) => {
                Reply::new(Situation::RestNotFollowed).with("offset", offset).with("verb", verb.name())
            }
            (Err(situation), _) => {
                let seconds = self.policy.reservation_timeout.as_secs();
                Reply::new(situation).with("verb", verb.name()).with("seconds", seconds)
            }
            (Ok(_), _) if self.lacks_protection() => {
                Reply::new(Situation::ProtectionNeeded).with("verb", verb.name())
            }
            (Ok(_), Restart::At(offset)) if self.settings.structure == Structure::Page => {
                Reply::new(Situation::RestartInPages).with("offset", offset).with("verb", verb.name())
            }
            // In block and compressed mode offsets come from markers, which stand where a text can be taken up.
            (Ok(_), Restart::At(offset))
                if self.settings.representation.is_text() && !self.settings.mode.has_markers() =>
            {
                Reply::new(Situation::RestartInText).with("offset", offset).with("verb", verb.name())
            }
            (Ok(_), restart) => match self.resolve(verb, raw) {
                Ok(path) => {
                    let offset = if let Restart::At(offset) = restart { offset } else { 0 };
                    return Some((path, offset));
                }
                Err(reply) => reply,
            },
        };
        self.answer(verb, refusal);
        None
    }

    fn begin_transfer(
        &mut self,
        verb: Verb,
        path: VirtualPath,
        offset: u64,
        plan: Plan,
        wildcard: Option<Wildcard>,
        op: StorageOp,
    ) {
        let Ok(route) = self.arrangement.route() else {
            unreachable!("transfer_path has just asked");
        };
        let id = self.new_id();
        self.push(Output::Storage(id, op));
        self.stage = Stage::Transfer(Box::new(Transfer {
            verb,
            direction: verb.row().transfer.expect("only transfers come here"),
            path,
            offset,
            protection: self.shield.data,
            kept: self.arrangement.is_kept(),
            plan,
            wildcard,
            route,
            step: Step::Opening { id },
            marked: false,
            stop: None,
            bytes: 0,
        }));
    }
}

impl Session {
    /// The answer to a restart marker (RFC 959 section 3.5). One that could forge the rest of the line is not echoed.
    pub(super) fn answer_marker(&mut self, verb: Verb, marker: &Marker, offset: u64) {
        if let Some(theirs) = marker.as_text() {
            let reply = Reply::new(Situation::RestartMarker).with("theirs", theirs.to_owned());
            self.answer(verb, reply.with("ours", offset));
        }
    }
}

impl Transfer {
    pub(super) fn verb(&self) -> Verb {
        self.verb
    }

    pub(super) fn path(&self) -> &VirtualPath {
        &self.path
    }

    /// Bytes moved, once that is known; 0 until then.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn marked(&self) -> bool {
        self.marked
    }

    pub(super) fn receives(&self) -> bool {
        self.direction == Direction::Receive
    }

    /// The operation that moves bytes, while it does.
    pub(super) fn moving(&self) -> Option<OperationId> {
        match self.step {
            Step::Moving { id } => Some(id),
            _ => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        match self.step {
            Step::Connecting { deadline, .. } if self.stop.is_none() => Some(deadline),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(self: Box<Self>, session: &mut Session) -> Option<Box<Transfer>> {
        match self.deadline() {
            Some(deadline) if deadline <= session.now => self.stop(session, Stop::ConnectTimeout),
            _ => Some(self),
        }
    }

    /// Ends it as soon as may be; its final answer comes when whatever is under way has come back.
    pub(super) fn stop(mut self: Box<Self>, session: &mut Session, stop: Stop) -> Option<Box<Transfer>> {
        if self.stop.is_some() {
            return Some(self);
        }
        match self.step {
            Step::Opening { .. } | Step::Probing { .. } => self.stop = Some(stop),
            Step::Connecting { id, .. } | Step::Moving { id } => {
                self.stop = Some(stop);
                session.push(Output::Data(id, DataOp::Cancel));
            }
            // The last byte is through: its true outcome is the answer.
            Step::Committing { .. } | Step::Abandoning { .. } => {}
        }
        Some(self)
    }

    pub(super) fn handle_storage(
        mut self: Box<Self>,
        session: &mut Session,
        id: OperationId,
        outcome: StorageOutcome,
    ) -> Option<Box<Transfer>> {
        match self.step {
            Step::Opening { id: expected } if expected == id => match outcome {
                StorageOutcome::Failed(failure) => self.refused(session, failure),
                StorageOutcome::UploadOpened(path) => {
                    self.path = path;
                    self.opened(session)
                }
                _ => self.opened(session),
            },
            Step::Committing { id: expected } if expected == id => {
                let kept = session.arrangement.is_kept();
                let reply = match outcome {
                    StorageOutcome::Failed(failure) => {
                        // The client may have sent the next file already, for an answer that it did not get.
                        let held = session.arrangement.refuse_upload();
                        session.let_go(held);
                        self.not_stored(session, failure)
                    }
                    _ => {
                        let situation = if kept { Situation::StoredKept } else { Situation::Stored };
                        Reply::new(situation).with("bytes", self.bytes).with("path", &self.path)
                    }
                };
                self.end(session, reply)
            }
            Step::Abandoning { id: expected, ref mut reply } if expected == id => {
                let mut reply = std::mem::replace(reply, Reply::new(Situation::NotBegun));
                if let StorageOutcome::Abandoned { resumable } = outcome {
                    reply = self.with_what_is_kept(session, reply, resumable);
                }
                self.end(session, reply)
            }
            _ => Some(self),
        }
    }

    /// Storage said no: there was no mark, and a download leaves the arrangement as it is.
    fn refused(mut self: Box<Self>, session: &mut Session, failure: Failure) -> Option<Box<Transfer>> {
        if let (Failure::NotFound, Some(wildcard), None) = (failure, self.wildcard.take(), self.stop) {
            let id = session.new_id();
            let path = wildcard.directory.clone();
            session.push(Output::Storage(id, StorageOp::OpenListing { path, directory_only: true }));
            self.path = wildcard.directory;
            self.plan = Plan::Listing { format: wildcard.format, pattern: Some(wildcard.pattern) };
            self.step = Step::Opening { id };
            return Some(self);
        }
        let reply = match self.stop {
            Some(_) => Reply::new(Situation::NotBegun),
            None => session.failure(self.verb, failure, &self.path).with("offset", self.offset),
        };
        if self.receives() {
            let held = session.arrangement.refuse_upload();
            session.let_go(held);
        }
        self.end(session, reply)
    }

    fn opened(mut self: Box<Self>, session: &mut Session) -> Option<Box<Transfer>> {
        if self.stop.is_some() {
            return self.abandon(session, Reply::new(Situation::NotBegun));
        }
        match self.route {
            // We connect after the mark, so nothing can stand yet.
            Route::Active { .. } if !self.kept => Some(self.mark(session, false)),
            // What was kept may have been closed meanwhile: who is gone must not be told of a success.
            Route::Passive { .. } | Route::Active { .. } => {
                let id = session.new_id();
                session.push(Output::Data(id, DataOp::Probe));
                self.step = Step::Probing { id };
                Some(self)
            }
        }
    }

    fn mark(mut self: Box<Self>, session: &mut Session, standing: bool) -> Box<Transfer> {
        let reply = if self.verb == Verb::Stou {
            // RFC 1123 section 4.1.2.9: the text is exactly this, with a name that RETR takes as it stands.
            let name = session.shortest_name(&self.path);
            let situation =
                if standing { Situation::MarkStandingUnique } else { Situation::MarkOpeningUnique };
            Reply::new(situation).with("name", name)
        } else {
            let situation = if standing { Situation::MarkStanding } else { Situation::MarkOpening };
            Reply::new(situation).with("path", &self.path)
        };
        session.answer_mark(self.verb, reply);
        self.marked = true;
        session.arrangement.use_up();
        let id = session.new_id();
        let channel = Channel { route: self.route, direction: self.direction, protection: self.protection };
        session.push(Output::Data(id, DataOp::Establish(channel)));
        self.step = Step::Connecting { id, deadline: session.now + session.policy.connect_timeout };
        self
    }

    pub(super) fn handle_data(
        mut self: Box<Self>,
        session: &mut Session,
        id: OperationId,
        event: DataEvent,
    ) -> Option<Box<Transfer>> {
        match (&self.step, event) {
            (Step::Probing { id: expected }, event) if *expected == id => {
                let is_gone = self.kept && event != DataEvent::Standing;
                if is_gone {
                    let held = session.arrangement.close();
                    session.let_go(held);
                    session.arrangement.cut();
                }
                if self.stop.is_some() {
                    return self.abandon(session, Reply::new(Situation::NotBegun));
                }
                if is_gone {
                    return self.abandon(session, Reply::new(Situation::ConnectionCut));
                }
                Some(self.mark(session, event == DataEvent::Standing))
            }
            (Step::Connecting { id: expected, .. }, event) if *expected == id => match event {
                DataEvent::NotEstablished(failure) => {
                    let reply = self.no_connection(session, &failure);
                    // A connection that was kept may have been made by us.
                    if self.kept || matches!(self.route, Route::Passive { .. }) {
                        let id = session.new_id();
                        session.push(Output::Data(id, DataOp::Release));
                    }
                    if session.settings.keeps_connection() {
                        session.arrangement.cut();
                    }
                    self.abandon(session, reply)
                }
                _ => {
                    // The client came in the very last moment, but it came.
                    if self.stop == Some(Stop::ConnectTimeout) {
                        self.stop = None;
                    }
                    let id = session.new_id();
                    self.step = Step::Moving { id };
                    session.push(Output::Data(id, DataOp::Move(self.job(session, id))));
                    // It came about before the cancel did.
                    if self.stop.is_some() {
                        session.push(Output::Data(id, DataOp::Cancel));
                    }
                    Some(self)
                }
            },
            (Step::Moving { id: expected }, DataEvent::Finished { bytes, end, kept }) if *expected == id => {
                self.bytes = bytes;
                self.settle(session, end, kept);
                match (self.direction, end) {
                    (Direction::Receive, End::Complete) => {
                        let id = session.new_id();
                        session.push(Output::Storage(id, StorageOp::Commit));
                        self.step = Step::Committing { id };
                        Some(self)
                    }
                    (Direction::Receive, end) => {
                        let reply = self.cut(session, end);
                        self.abandon(session, reply)
                    }
                    (Direction::Send, End::Complete) => {
                        let situation = if kept { Situation::SentKept } else { Situation::Sent };
                        let reply = Reply::new(situation).with("bytes", bytes);
                        self.end(session, reply)
                    }
                    (Direction::Send, end) => {
                        let reply = self.cut(session, end);
                        self.end(session, reply)
                    }
                }
            }
            _ => Some(self),
        }
    }

    /// What becomes of the data connection when the bytes have moved, or not.
    fn settle(&self, session: &mut Session, end: End, kept: bool) {
        if kept {
            let expires = session.now + session.policy.reservation_timeout;
            session.arrangement.keep(self.route, expires);
        } else if end != End::Complete && session.settings.keeps_connection() {
            match (self.direction, end) {
                (Direction::Receive, End::Storage(_)) => session.arrangement.close_by_refusal(),
                _ => session.arrangement.cut(),
            }
        }
    }

    fn job(&self, session: &Session, id: OperationId) -> TransferJob {
        TransferJob {
            id,
            verb: self.verb,
            direction: self.direction,
            path: self.path.clone(),
            offset: self.offset,
            representation: session.settings.representation,
            structure: session.settings.structure,
            mode: session.settings.mode,
            keeps_connection: session.settings.keeps_connection(),
            level: session.settings.level,
            protection: self.protection,
            stall_timeout: session.policy.stall_timeout,
            plan: self.plan.clone(),
        }
    }

    /// Closes what was opened, then answers.
    fn abandon(mut self: Box<Self>, session: &mut Session, reply: Reply) -> Option<Box<Transfer>> {
        if self.receives() && !self.marked {
            let held = session.arrangement.refuse_upload();
            session.let_go(held);
        }
        let id = session.new_id();
        session.push(Output::Storage(id, StorageOp::Abandon));
        self.step = Step::Abandoning { id, reply };
        Some(self)
    }

    fn end(self: Box<Self>, session: &mut Session, reply: Reply) -> Option<Box<Transfer>> {
        let Transfer { verb, path, offset, bytes, protection, .. } = *self;
        let representation = session.settings.representation;
        let situation = reply.situation;
        session.push(Output::Event(Event::TransferEnded {
            verb,
            path,
            representation,
            protection,
            offset,
            bytes,
            situation,
        }));
        session.answer(verb, reply);
        None
    }
}
