//! What stands behind the client's dialogue: where files come from and go to, and its end of the data connections.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use longshore_proto::client::{
    ConnectFailure, DataEvent, DataOp, End, Input, OperationId, RequestId, TransferJob,
};

use super::chance::Chance;
use super::network::{Network, Progress, Receiver, Sender, Side};

#[derive(Default)]
pub struct ClientSide {
    /// What uploads send, from their first octet on.
    pub sources: BTreeMap<RequestId, Vec<u8>>,
    /// What downloads have received, also those that were cut.
    pub received: BTreeMap<RequestId, Vec<u8>>,
    pub answers: VecDeque<Input<'static>>,
    connecting: Option<(OperationId, SocketAddr)>,
    links: BTreeMap<OperationId, Link>,
    running: Option<Running>,
    next_port: u16,
    pub faults: usize,
    /// Jobs that were begun on each connection.
    pub jobs: BTreeMap<OperationId, Vec<RequestId>>,
}

#[derive(Default)]
struct Link {
    wire: Option<usize>,
    port: Option<u16>,
}

struct Running {
    id: OperationId,
    job: TransferJob,
    bytes: Bytes,
}

enum Bytes {
    Out(Sender),
    In(Receiver),
}

impl ClientSide {
    pub fn data(&mut self, chance: &mut Chance, network: &mut Network, id: OperationId, op: DataOp) {
        match op {
            DataOp::Connect(address) => {
                assert!(self.connecting.is_none());
                self.connecting = Some((id, address));
            }
            DataOp::Listen(ip) => {
                if chance.per_mille(self.faults) {
                    let failure = ConnectFailure::Other("no port is free".to_owned());
                    return self.answers.push_back(Input::Data(id, DataEvent::Failed(failure)));
                }
                self.next_port += 1;
                let port = 40_000 + self.next_port;
                network.listeners.insert(port, VecDeque::new());
                self.links.insert(id, Link { wire: None, port: Some(port) });
                let address = SocketAddr::new(ip, port);
                self.answers.push_back(Input::Data(id, DataEvent::Listening(address)));
            }
            DataOp::Send(job) => {
                let content = self.sources[&job.request].clone();
                let bytes = Bytes::Out(Sender::new(content, job.keeps_connection));
                self.begin(id, job, bytes);
            }
            DataOp::Receive(job) => {
                self.received.insert(job.request, Vec::new());
                let bytes = Bytes::In(Receiver::new(job.keeps_connection));
                self.begin(id, job, bytes);
            }
            DataOp::Cancel => {
                if self.running.as_ref().is_some_and(|running| running.id == id) {
                    self.finish(chance, network, End::Cancelled);
                } else if self.connecting.take_if(|(connecting, _)| *connecting == id).is_some() {
                    let event = DataEvent::Failed(ConnectFailure::Cancelled);
                    self.answers.push_back(Input::Data(id, event));
                }
            }
            op @ (DataOp::Close | DataOp::Reset) => {
                self.connecting.take_if(|(connecting, _)| *connecting == id);
                if self.running.as_ref().is_some_and(|running| running.job.connection == id) {
                    self.finish(chance, network, End::Cancelled);
                }
                self.close(chance, network, id, op == DataOp::Reset);
            }
        }
    }

    fn begin(&mut self, id: OperationId, job: TransferJob, bytes: Bytes) {
        assert!(self.running.is_none(), "jobs run one after the other");
        if !self.links.contains_key(&job.connection) {
            // It has ended, and the news of it are still on their way.
            let event = DataEvent::Moved { bytes: 0, end: End::Reset };
            return self.answers.push_back(Input::Data(id, event));
        }
        self.jobs.entry(job.connection).or_default().push(job.request);
        self.running = Some(Running { id, job, bytes });
    }

    fn close(&mut self, chance: &mut Chance, network: &mut Network, id: OperationId, hard: bool) {
        let Some(link) = self.links.remove(&id) else { return };
        if let Some(port) = link.port {
            network.stop_listening(chance, port);
        }
        if let Some(wire) = link.wire {
            network.close(chance, wire, Side::Client, hard);
        }
    }

    pub fn is_busy(&self) -> bool {
        self.connecting.is_some() || self.running.is_some() || !self.links.is_empty()
    }

    pub fn step(&mut self, chance: &mut Chance, network: &mut Network) -> Progress {
        if let Some((id, address)) = self.connecting.take() {
            // A firewall lets some wait for ever, and rejects others.
            let wire = if chance.per_mille(self.faults) { None } else { network.connect(address.port()) };
            if wire.is_none() && chance.per_mille(300) {
                self.connecting = Some((id, address));
                return Progress::Blocked;
            }
            let event = match wire {
                Some(_) => DataEvent::Connected,
                None => DataEvent::Failed(ConnectFailure::Refused),
            };
            if wire.is_some() {
                self.links.insert(id, Link { wire, port: None });
            }
            self.answers.push_back(Input::Data(id, event));
            return Progress::Done;
        }
        if self.running.is_none() {
            return self.watch(network);
        }
        self.move_bytes(chance, network)
    }

    /// A connection on which nothing runs may end.
    fn watch(&mut self, network: &mut Network) -> Progress {
        let ended = self
            .links
            .iter()
            .find(|(_, link)| link.wire.is_some_and(|wire| network.has_ended(wire, Side::Client)));
        match ended.map(|(&id, _)| id) {
            Some(id) => {
                self.links.remove(&id);
                self.answers.push_back(Input::Data(id, DataEvent::Closed));
                Progress::Done
            }
            None => Progress::Blocked,
        }
    }

    fn move_bytes(&mut self, chance: &mut Chance, network: &mut Network) -> Progress {
        let Some(running) = &mut self.running else { return Progress::Blocked };
        let Some(link) = self.links.get_mut(&running.job.connection) else { return Progress::Blocked };
        if link.wire.is_none()
            && let Some(port) = link.port
        {
            link.wire = network.listeners.get_mut(&port).and_then(VecDeque::pop_front);
        }
        let Some(wire) = link.wire else { return Progress::Blocked };
        if chance.per_mille(self.faults / 4) {
            let end = [End::Local("the disk is full".to_owned()), End::Stalled, End::Reset];
            let end = end[chance.below(3)].clone();
            self.finish(chance, network, end);
            return Progress::Done;
        }
        let progress = match &mut running.bytes {
            Bytes::Out(sender) => sender.step(chance, network.outgoing(wire, Side::Client)),
            Bytes::In(receiver) => receiver.step(chance, network.incoming(wire, Side::Client)),
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

    /// What runs is given up; whether anything did.
    pub fn stall(&mut self, chance: &mut Chance, network: &mut Network) -> bool {
        let runs = self.running.is_some();
        self.finish(chance, network, End::Stalled);
        runs
    }

    fn finish(&mut self, chance: &mut Chance, network: &mut Network, end: End) {
        let Some(Running { id, job, bytes }) = self.running.take() else { return };
        if end != End::Complete {
            // The id stays until the dialogue closes it, the connection does not.
            if let Some(wire) = self.links.get_mut(&job.connection).and_then(|link| link.wire.take()) {
                network.close(chance, wire, Side::Client, true);
            }
        }
        let bytes = match bytes {
            Bytes::Out(sender) => sender.bytes(),
            Bytes::In(receiver) => {
                let length = receiver.content.len() as u64;
                self.received.insert(job.request, receiver.content);
                length
            }
        };
        self.answers.push_back(Input::Data(id, DataEvent::Moved { bytes, end }));
    }
}
