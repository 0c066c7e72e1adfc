//! What stands behind the server's session: files in memory, and its end of the data connections.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use longshore_path::VirtualPath;
use longshore_proto::server::{
    ConnectFailure, DataEvent, DataOp, End, Input, LoginOutcome, LoginRequest, OperationId, Plan, Route,
    StorageOp, StorageOutcome, TlsNeed, TransferJob,
};
use longshore_proto::time::UnixTime;
use longshore_proto::verbs::{Direction, Failure};

use super::chance::Chance;
use super::network::{Network, Progress, Receiver, Sender, Side};

/// An upload that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub path: Vec<u8>,
    /// What came over the data connection.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub struct ServerSide {
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Uploads that were stored, in order.
    pub stored: Vec<Stored>,
    /// Whatever came of uploads that were not.
    pub cut: Vec<Stored>,
    /// Every content that a name ever had.
    pub had: Vec<(Vec<u8>, Vec<u8>)>,
    /// What has happened and is to be handed in, in whatever order.
    pub answers: Vec<Input<'static>>,
    next_port: u16,
    port: Option<u16>,
    wire: Option<usize>,
    establishing: Option<(OperationId, Route)>,
    moving: Option<Moving>,
    /// What the running download sends.
    content: Vec<u8>,
    /// The running upload.
    upload: Option<Stored>,
    /// Its data connection has ended in order, so it may be committed.
    is_whole: bool,
    /// Commits that no 226 or 250 has told of yet.
    pub untold_commits: usize,
    /// Failures in a thousand steps and operations.
    pub faults: usize,
}

struct Moving {
    job: TransferJob,
    bytes: Bytes,
}

enum Bytes {
    Out(Sender),
    In(Receiver),
}

pub fn listing(path: &[u8]) -> Vec<u8> {
    [b"this is in ", path, b"\r\n"].concat().repeat(3)
}

impl ServerSide {
    pub fn put(&mut self, path: Vec<u8>, content: Vec<u8>) {
        self.had.push((path.clone(), content.clone()));
        self.files.insert(path, content);
    }

    pub fn login(&mut self, id: OperationId, request: &LoginRequest) {
        let outcome = match request.user.as_slice() {
            b"alice" => LoginOutcome::Accepted {
                account: "alice".to_owned(),
                directory: VirtualPath::root(),
                quota: false,
                need: TlsNeed::Nothing,
            },
            _ => LoginOutcome::Rejected { earlier: 0 },
        };
        self.answers.push(Input::Login(id, outcome));
    }

    pub fn storage(&mut self, chance: &mut Chance, id: OperationId, op: StorageOp) {
        let outcome = self.outcome(chance, op);
        self.answers.push(Input::Storage(id, outcome));
    }

    fn outcome(&mut self, chance: &mut Chance, op: StorageOp) -> StorageOutcome {
        let failed = StorageOutcome::Failed;
        match op {
            StorageOp::Abandon => {
                self.cut.extend(self.upload.take());
                StorageOutcome::Abandoned { resumable: None }
            }
            _ if chance.per_mille(self.faults) => {
                self.cut.extend(self.upload.take());
                failed(Failure::Fault)
            }
            StorageOp::RemoveFile(path) => match self.files.remove(path.as_bytes()) {
                Some(_) => StorageOutcome::Done,
                None => failed(Failure::NotFound),
            },
            StorageOp::RenameFrom(path) if !self.files.contains_key(path.as_bytes()) => {
                failed(Failure::NotFound)
            }
            StorageOp::Rename { from, to } => match self.files.remove(from.as_bytes()) {
                Some(content) => {
                    self.put(to.as_bytes().to_vec(), content);
                    StorageOutcome::Done
                }
                None => failed(Failure::NotFound),
            },
            StorageOp::Size(path) => match self.files.get(path.as_bytes()) {
                Some(content) => StorageOutcome::Size(content.len() as u64),
                None => failed(Failure::NotFound),
            },
            StorageOp::Modified(_) => {
                StorageOutcome::Modified(UnixTime { seconds: 1_700_000_000, nanoseconds: 0 })
            }
            StorageOp::OpenRetrieve { path, offset } => match self.files.get(path.as_bytes()) {
                Some(content) if offset as usize <= content.len() => {
                    self.content = content[offset as usize..].to_vec();
                    StorageOutcome::Opened
                }
                Some(_) => failed(Failure::BeyondEnd),
                None => failed(Failure::NotFound),
            },
            StorageOp::OpenListing { path, .. } => {
                self.content = listing(path.as_bytes());
                StorageOutcome::Opened
            }
            StorageOp::OpenUpload { path, .. } if path.as_bytes().starts_with(b"/locked") => {
                failed(Failure::NoPermission)
            }
            StorageOp::OpenUpload { path, .. } => {
                self.upload = Some(Stored { path: path.as_bytes().to_vec(), bytes: Vec::new() });
                self.is_whole = false;
                StorageOutcome::UploadOpened(path)
            }
            StorageOp::Commit => {
                let upload = self.upload.take().expect("an upload is open");
                assert!(std::mem::take(&mut self.is_whole), "what was cut is committed");
                self.untold_commits += 1;
                self.put(upload.path.clone(), upload.bytes.clone());
                self.stored.push(upload);
                StorageOutcome::Done
            }
            _ => StorageOutcome::Done,
        }
    }

    pub fn data(&mut self, chance: &mut Chance, network: &mut Network, id: OperationId, op: DataOp) {
        match op {
            DataOp::Reserve => {
                self.release(chance, network);
                if chance.per_mille(self.faults) {
                    return self.answers.push(Input::Data(id, DataEvent::NoPort));
                }
                self.next_port += 1;
                let port = 30_000 + self.next_port;
                network.listeners.insert(port, VecDeque::new());
                self.port = Some(port);
                self.answers.push(Input::Data(id, DataEvent::Reserved(port)));
            }
            DataOp::Release => self.release(chance, network),
            DataOp::Probe => {
                let event = if self.accept(network) { DataEvent::Standing } else { DataEvent::NotYet };
                self.answers.push(Input::Data(id, event));
            }
            DataOp::Establish(channel) => self.establishing = Some((id, channel.route)),
            DataOp::Move(job) => {
                let in_blocks = job.keeps_connection;
                let bytes = match job.direction {
                    Direction::Send => {
                        debug_assert!(job.plan == Plan::File || job.offset == 0);
                        Bytes::Out(Sender::new(std::mem::take(&mut self.content), in_blocks))
                    }
                    Direction::Receive => Bytes::In(Receiver::new(in_blocks)),
                };
                self.moving = Some(Moving { job, bytes });
            }
            DataOp::Progress => {}
            DataOp::Cancel => {
                if let Some((id, _)) = self.establishing.take_if(|(establishing, _)| *establishing == id) {
                    let failure = ConnectFailure::Cancelled { strangers: 0 };
                    self.answers.push(Input::Data(id, DataEvent::NotEstablished(failure)));
                } else if self.moving.as_ref().is_some_and(|moving| moving.job.id == id) {
                    self.finish(chance, network, End::Cancelled);
                }
            }
        }
    }

    fn release(&mut self, chance: &mut Chance, network: &mut Network) {
        if let Some(port) = self.port.take() {
            network.stop_listening(chance, port);
        }
        if let Some(wire) = self.wire.take() {
            network.close(chance, wire, Side::Server, false);
        }
    }

    /// Takes a connection that waits; one that has ended is of no use.
    fn accept(&mut self, network: &mut Network) -> bool {
        if self.wire.is_some() {
            return true;
        }
        let Some(port) = self.port else { return false };
        while let Some(wire) = network.listeners.get_mut(&port).and_then(VecDeque::pop_front) {
            let pipe = network.incoming(wire, Side::Server);
            if !(pipe.reset || pipe.fin && pipe.bytes.is_empty()) {
                self.wire = Some(wire);
                return true;
            }
        }
        false
    }

    /// Whether a step would do anything.
    pub fn is_busy(&self) -> bool {
        self.establishing.is_some() || self.moving.is_some()
    }

    pub fn step(&mut self, chance: &mut Chance, network: &mut Network) -> Progress {
        if let Some((id, route)) = self.establishing {
            let event = match route {
                Route::Passive { .. } if self.accept(network) => DataEvent::Established,
                Route::Passive { .. } => return Progress::Blocked,
                Route::Active { .. } if self.wire.is_some() => DataEvent::Established,
                Route::Active { to } => match self.connect(network, to) {
                    true => DataEvent::Established,
                    false => DataEvent::NotEstablished(ConnectFailure::Refused),
                },
            };
            self.establishing = None;
            if let Some(port) = self.port.take() {
                network.stop_listening(chance, port);
            }
            self.answers.push(Input::Data(id, event));
            return Progress::Done;
        }
        let (Some(moving), Some(wire)) = (&mut self.moving, self.wire) else { return Progress::Blocked };
        if chance.per_mille(self.faults / 4) {
            let end = [End::Storage(Failure::Fault), End::Stalled, End::Reset][chance.below(3)];
            self.finish(chance, network, end);
            return Progress::Done;
        }
        let progress = match &mut moving.bytes {
            Bytes::Out(sender) => sender.step(chance, network.outgoing(wire, Side::Server)),
            Bytes::In(receiver) => receiver.step(chance, network.incoming(wire, Side::Server)),
        };
        match progress {
            Progress::Done => self.finish(chance, network, End::Complete),
            Progress::Broken => self.finish(chance, network, End::Reset),
            Progress::Mixed => {
                network.mixed = true;
                self.finish(chance, network, End::Reset);
            }
            Progress::Moved | Progress::Blocked => {}
        }
        progress
    }

    fn connect(&mut self, network: &mut Network, to: SocketAddr) -> bool {
        self.wire = network.connect(to.port());
        self.wire.is_some()
    }

    /// What moves is given up; whether anything did.
    pub fn stall(&mut self, chance: &mut Chance, network: &mut Network) -> bool {
        let moves = self.moving.is_some();
        self.finish(chance, network, End::Stalled);
        moves
    }

    fn finish(&mut self, chance: &mut Chance, network: &mut Network, end: End) {
        let Some(Moving { job, bytes }) = self.moving.take() else { return };
        let kept = end == End::Complete && job.keeps_connection;
        if !kept && let Some(wire) = self.wire.take() {
            network.close(chance, wire, Side::Server, end != End::Complete);
        }
        let bytes = match bytes {
            Bytes::Out(sender) => sender.bytes(),
            Bytes::In(receiver) => {
                let length = receiver.content.len() as u64;
                if let Some(upload) = &mut self.upload {
                    upload.bytes = receiver.content;
                    self.is_whole = end == End::Complete;
                }
                length
            }
        };
        self.answers.push(Input::Data(job.id, DataEvent::Finished { bytes, end, kept }));
    }
}
