//! What is under way, and how it is answered: as the files, the accounts and the client would have it, or as a test
//! says.
//!
//! Not inside: when that is.

use longshore_path::VirtualPath;
use longshore_proto::server::{
    ConnectFailure, Credential, DataEvent, End, Input, ListingFormat, LoginOutcome, OperationId, Plan,
    Protection, Route, StorageOutcome, TlsEvent, TransferJob,
};
use longshore_proto::transmission::{Form, Marker};
use longshore_proto::verbs::Direction;

use super::super::files::{Node, Open};
use super::super::known::Kind;
use super::{Client, Ended, Handshake, UnderWay, Work, World};

impl World {
    /// Whether an operation is not held and has an answer by now.
    pub(super) fn answers_itself(&self, operation: &UnderWay) -> bool {
        // That bytes stand there is known at once.
        if let Work::Tls { behind: true } = operation.work {
            return true;
        }
        if self.held.contains(&operation.work.kind()) {
            return false;
        }
        match operation.work {
            Work::Establish(channel) => {
                // One that stands asks nothing of the client.
                if self.on_kept {
                    return true;
                }
                let silent = self.client == Client::StaysSilent && channel.protection == Protection::Private;
                operation.cancelled || !silent && !matches!(self.client, Client::StaysAway { .. })
            }
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

    pub fn answer_tls(&mut self, event: TlsEvent) {
        let operation = self.take(Kind::Tls);
        self.hand_in_tls(operation.id, event);
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
        self.session.handle(self.now, Input::Tls(id, TlsEvent::Failed));
        self.session.handle(self.now, Input::Storage(id, StorageOutcome::Done));
        let marker = Marker::from_bytes(b"5").expect("it is short");
        for event in [
            DataEvent::NoPort,
            DataEvent::Reserved(1),
            DataEvent::Standing,
            DataEvent::NotYet,
            DataEvent::Established,
            DataEvent::NotEstablished(ConnectFailure::Refused),
            DataEvent::Progress(5),
            DataEvent::Marker { marker, offset: 5 },
            DataEvent::Finished { bytes: 5, end: End::Complete, kept: false },
        ] {
            self.session.handle(self.now, Input::Data(id, event));
        }
        self.settle();
    }

    pub(super) fn answer_truly(&mut self, index: usize) {
        let UnderWay { id, work, cancelled } =
            self.under_way.remove(index).expect("an index of one under way");
        match work {
            Work::Tls { behind: true } => self.hand_in_tls(id, TlsEvent::BytesBehind),
            Work::Tls { behind: false } => {
                let event = match self.handshake {
                    Handshake::Succeeds { certificate } => World::tls_up(certificate),
                    Handshake::Fails => TlsEvent::Failed,
                };
                self.hand_in_tls(id, event);
            }
            Work::Login(request) => {
                let known = match request.credential {
                    Credential::Password(password) => {
                        password.0 == b"secret" || request.user.eq_ignore_ascii_case(b"anonymous")
                    }
                    Credential::Certificate => request.user == b"longshore",
                };
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
                let stands =
                    if self.stays { self.client != Client::Leaves } else { self.client == Client::Stands };
                let event = if stands { DataEvent::Standing } else { DataEvent::NotYet };
                self.hand_in_data(id, event);
            }
            Work::Establish(channel) => {
                let tls_fails = |failure| match channel.protection {
                    Protection::Clear => DataEvent::Established,
                    Protection::Private => DataEvent::NotEstablished(failure),
                };
                let event = match self.client {
                    _ if self.on_kept => DataEvent::Established,
                    Client::Follows | Client::Stands | Client::Leaves => DataEvent::Established,
                    Client::StaysSilent => tls_fails(ConnectFailure::HandshakeCancelled),
                    Client::SpeaksClear => tls_fails(ConnectFailure::NotTls),
                    Client::BreaksTls => {
                        tls_fails(ConnectFailure::HandshakeFailed("the client broke it off".to_owned()))
                    }
                    Client::ComesAnew => {
                        tls_fails(ConnectFailure::NotResumed("it began a new session".to_owned()))
                    }
                    Client::SendsOthers => match (channel.route, channel.protection) {
                        (Route::Passive { .. }, Protection::Private) => {
                            DataEvent::NotEstablished(ConnectFailure::OnlyUnproved)
                        }
                        _ => DataEvent::NotEstablished(ConnectFailure::Cancelled { strangers: 2 }),
                    },
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
                    Ended::Early(bytes, end) => (bytes, World::possible(end, &job)),
                    Ended::GoesOn(bytes) => (bytes, End::Cancelled),
                };
                let kept = World::may_keep(end, &job);
                self.hand_in_data(id, DataEvent::Finished { bytes, end, kept });
            }
        }
    }

    fn welcome(&self, user: &[u8]) -> LoginOutcome {
        let account = String::from_utf8_lossy(user).into_owned();
        let quota = self.files.quota.is_some();
        LoginOutcome::Accepted { account, directory: VirtualPath::root(), quota, need: self.need }
    }

    pub fn tls_up(certificate: bool) -> TlsEvent {
        TlsEvent::Up { description: "TLSv1.3 TLS13_AES_256_GCM_SHA384".to_owned(), certificate }
    }

    /// What ends TLS cannot happen without it, nor its beginning in a download: these are reset.
    pub fn possible(end: End, job: &TransferJob) -> End {
        let fits = match end {
            End::TlsBroken | End::NoCloseNotify => job.protection == Protection::Private,
            End::Malformed(_) => {
                let form =
                    Form { representation: job.representation, structure: job.structure, mode: job.mode };
                job.direction == Direction::Receive && form.states_its_end()
            }
            End::TlsUnexpected => job.protection == Protection::Clear && job.direction == Direction::Receive,
            _ => true,
        };
        if fits { end } else { End::Reset }
    }

    /// Whether the data connection may stay behind this transfer: a complete one, in a mode that keeps it.
    pub fn may_keep(end: End, job: &TransferJob) -> bool {
        end == End::Complete && job.keeps_connection
    }

    /// A restart marker comes in the upload that runs.
    pub fn marker(&mut self, text: &[u8], offset: u64) {
        let running = self.under_way.iter().find(|operation| operation.work.kind() == Kind::Move);
        let id = running.unwrap_or_else(|| panic!("{}\n\nnothing moves", self.log.join("\n"))).id;
        let marker = Marker::from_bytes(text).expect("a marker is short");
        self.log.push(format!("  {id} {marker:?} at {offset}"));
        let event = DataEvent::Marker { marker, offset };
        self.judge.data_answered(id, &event);
        self.session.handle(self.now, Input::Data(id, event));
        self.settle();
    }

    /// An older port ends, then a newer one is had.
    pub fn reserve(&mut self) -> DataEvent {
        self.port = None;
        self.stays = false;
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
                let one = !matches!(self.files.get(path), Some(Node::Directory));
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

    fn hand_in_tls(&mut self, id: OperationId, event: TlsEvent) {
        self.log.push(format!("  {id} {event:?}"));
        self.answered.push(id);
        self.protected = matches!(event, TlsEvent::Up { .. });
        self.judge.tls_answered(id, &event);
        self.session.handle(self.now, Input::Tls(id, event));
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
            // What was not taken up is still held.
            DataEvent::NotEstablished(_) if self.on_kept => self.stays = true,
            DataEvent::Finished { bytes, kept, .. } => {
                self.received = bytes;
                self.stays = kept;
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
}
