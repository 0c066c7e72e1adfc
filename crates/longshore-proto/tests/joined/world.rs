//! A dialogue and a session, joined by two queues of bytes and data connections in memory. Chance decides which of the
//! things that could happen happens next, and time goes on only when nothing else can.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longshore_proto::client::{
    self, Answer, Dialogue, Event, Input, Options, Output, Refusal, Request, RequestId, TlsEvent,
};
use longshore_proto::limits::{LINE_LIMIT_BYTES, REPLY_LINE_LIMIT_BYTES};
use longshore_proto::line::Buffer;
use longshore_proto::reply::{English, Situation};
use longshore_proto::server::{self, Connection, Moment, Policy, Session, Takes, TlsOffer, TlsPolicy};

use super::chance::Chance;
use super::client_side::ClientSide;
use super::network::{Network, Pipe, Progress};
use super::server_side::ServerSide;

/// Beyond so many steps it is stuck.
const STEPS_LIMIT: usize = 400_000;

pub struct World {
    pub chance: Chance,
    now: Moment,
    pub session: Session,
    pub dialogue: Dialogue,
    pub server: ServerSide,
    pub client: ClientSide,
    pub network: Network,
    to_server: Pipe,
    to_client: Pipe,
    server_lines: Buffer,
    client_lines: Buffer,
    /// Which sides wait for TLS on the control connection.
    server_tls: Option<server::OperationId>,
    client_tls: Option<client::OperationId>,
    pub log: Log,
    /// Cuts of data connections in a thousand steps.
    pub cuts: usize,
    server_closed: bool,
    pub client_closed: bool,
}

/// What happened, for the judge and for whoever reads a failure.
#[derive(Default)]
pub struct Log {
    pub answers: Vec<(RequestId, Result<Answer, Refusal>)>,
    pub lines: Vec<String>,
    pub asked_again: usize,
    pub unasked: usize,
    pub aborts: usize,
    /// How often both sides waited for each other's bytes.
    pub stalls: usize,
    pub requests: BTreeMap<RequestId, Request>,
}

impl Log {
    /// The path, the first octet, and whether it is a list, of a download.
    pub fn download(&self, id: RequestId) -> (Vec<u8>, usize, bool) {
        let absolute = |path: &[u8]| [b"/", path.strip_prefix(b"/").unwrap_or(path)].concat();
        match &self.requests[&id] {
            Request::Retrieve { path, offset, .. } => (absolute(path), *offset as usize, false),
            Request::List { path, .. } => (absolute(path.as_deref().unwrap_or(b"")), 0, true),
            other => panic!("{other:?} receives nothing"),
        }
    }
}

impl World {
    pub fn new(chance: Chance, options: Options, tls: bool) -> World {
        let now = Moment(Duration::from_secs(1000));
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let (ours, theirs) = (address("192.0.2.1:21"), address("198.51.100.7:50000"));
        let offer = if tls { TlsOffer::Explicit } else { TlsOffer::Off };
        let tls = TlsPolicy { offer, ..TlsPolicy::default() };
        let policy = Policy { tls, deflate: true, ..Policy::default() };
        World {
            chance,
            now,
            session: Session::new(Arc::new(policy), Connection { local: ours, peer: theirs }, now),
            dialogue: Dialogue::new(options, Connection { local: theirs, peer: ours }, now),
            server: ServerSide::default(),
            client: ClientSide::default(),
            network: Network::default(),
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            server_lines: Buffer::new(LINE_LIMIT_BYTES),
            client_lines: Buffer::new(REPLY_LINE_LIMIT_BYTES),
            server_tls: None,
            client_tls: None,
            log: Log::default(),
            cuts: 0,
            server_closed: false,
            client_closed: false,
        }
    }

    pub fn ask(&mut self, request: Request) -> RequestId {
        let id = self.dialogue.ask(self.now, request.clone());
        self.log.lines.push(format!("{id} ask {request:?}"));
        self.log.requests.insert(id, request);
        id
    }

    pub fn abort(&mut self, id: RequestId) {
        self.log.lines.push(format!("{id} abort"));
        self.dialogue.abort(self.now, id);
    }

    /// Lets things happen until both sides have ended.
    pub fn run_to_the_end(&mut self) {
        for _ in 0..STEPS_LIMIT {
            if !self.step() {
                return;
            }
        }
        panic!("it does not end");
    }

    /// Lets things happen until no request is without an answer.
    pub fn run_until_answered(&mut self) {
        for _ in 0..STEPS_LIMIT {
            if self.dialogue.unanswered() == 0 || !self.step() {
                return;
            }
        }
        panic!("no answer comes");
    }

    /// One thing happens; false when nothing can any more.
    pub fn step(&mut self) -> bool {
        self.carry_out();
        if self.client_closed && self.server_closed {
            return false;
        }
        if self.chance.per_mille(self.cuts) && !self.network.wires.is_empty() {
            let newest = self.network.wires.len() - 1;
            self.network.break_off(&mut self.chance, newest);
            self.log.lines.push("-- cut".to_owned());
        }
        let first = self.chance.below(6);
        for turn in 0..6 {
            let done = match (first + turn) % 6 {
                0 => self.bytes_reach_server(),
                1 => self.bytes_reach_client(),
                2 => self.server_is_answered(),
                3 => self.client_is_answered(),
                4 => {
                    self.server.is_busy()
                        && self.server.step(&mut self.chance, &mut self.network) != Progress::Blocked
                }
                _ => {
                    self.client.is_busy()
                        && self.client.step(&mut self.chance, &mut self.network) != Progress::Blocked
                }
            };
            if done {
                return true;
            }
        }
        // Between requests nobody is in a hurry.
        if self.dialogue.unanswered() == 0 && !self.client_closed && !self.server_closed {
            return true;
        }
        self.time_goes_on()
    }

    fn carry_out(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.session.next() {
                idle = false;
                self.carry_out_server(output);
            }
            while let Some(output) = self.dialogue.next() {
                idle = false;
                self.carry_out_client(output);
            }
            if idle {
                return;
            }
        }
    }

    fn carry_out_server(&mut self, output: server::Output) {
        use server::Output::{Close, Data, Event, Login, Logout, Reply, StartTls, StopTls, Storage};
        match output {
            Reply(reply) | StopTls(reply) => self.say(&reply),
            StartTls(id, reply) => {
                if !self.server_lines.is_empty() {
                    let event = server::TlsEvent::BytesBehind;
                    return self.session.handle(self.now, server::Input::Tls(id, event));
                }
                if let Some(reply) = reply {
                    self.say(&reply);
                }
                self.server_tls = Some(id);
            }
            Login(id, request) => self.server.login(id, &request),
            Logout | Event(_) => {}
            Storage(id, op) => self.server.storage(&mut self.chance, id, op),
            Data(id, op) => self.server.data(&mut self.chance, &mut self.network, id, op),
            Close => {
                self.to_client.fin = true;
                self.server_closed = true;
                self.log.lines.push("-- the server closes".to_owned());
            }
        }
    }

    fn say(&mut self, reply: &longshore_proto::reply::Reply) {
        if matches!(reply.situation, Situation::Stored | Situation::StoredKept) {
            // Whatever anybody says, success is told of what was committed, and only once.
            assert_eq!(std::mem::take(&mut self.server.untold_commits), 1, "{:?}", reply.situation);
        }
        let mut bytes = Vec::new();
        reply.write(&English, &mut bytes);
        let shown = String::from_utf8_lossy(&bytes);
        self.log.lines.push(format!(
            "        < {} [{}]",
            shown.lines().next().unwrap_or(""),
            reply.situation.id()
        ));
        self.to_client.bytes.extend(bytes);
    }

    fn carry_out_client(&mut self, output: Output) {
        match output {
            Output::Send(line) => {
                self.log.lines.push(format!("    > {}", String::from_utf8_lossy(line.shown())));
                self.log.aborts += usize::from(line.bytes() == b"ABOR\r\n");
                self.to_server.bytes.extend(line.bytes());
            }
            Output::SendSynch => {
                self.session.handle(self.now, server::Input::Urgent);
                self.to_server.bytes.extend(b"\xFF\xF4\xFF\xF2");
            }
            Output::StartTls(id) => {
                if self.client_lines.is_empty() && self.to_client.bytes.is_empty() {
                    self.client_tls = Some(id);
                } else {
                    self.dialogue.handle(self.now, Input::Tls(id, TlsEvent::BytesBehind));
                }
            }
            Output::Data(id, op) => {
                self.log.lines.push(format!("    {id} {op:?}"));
                self.client.data(&mut self.chance, &mut self.network, id, op);
            }
            Output::Done(id, result) => {
                self.log.lines.push(format!("{id} = {result:?}"));
                self.log.answers.push((id, result));
            }
            Output::Event(Event::AskedAgain(id, _)) => {
                self.log.lines.push(format!("{id} again"));
                self.log.asked_again += 1;
            }
            Output::Event(Event::Unasked(_)) => self.log.unasked += 1,
            Output::Event(Event::Greeting(_)) => {}
            Output::Close => {
                self.to_server.fin = true;
                self.client_closed = true;
            }
        }
    }

    fn bytes_reach_server(&mut self) -> bool {
        // Both sides have come to TLS: it is up when all that was said before it has been read.
        if let (Some(server), Some(client)) = (self.server_tls, self.client_tls) {
            (self.server_tls, self.client_tls) = (None, None);
            let up = server::TlsEvent::Up { description: "TLSv1.3".to_owned(), certificate: false };
            self.session.handle(self.now, server::Input::Tls(server, up));
            self.dialogue.handle(self.now, Input::Tls(client, TlsEvent::Up));
            return true;
        }
        if self.server_closed || self.server_tls.is_some() || self.session.takes() == Takes::Nothing {
            return false;
        }
        if self.to_server.bytes.is_empty() {
            if self.to_server.fin || self.to_server.reset {
                let reset = std::mem::take(&mut self.to_server.reset);
                self.to_server.fin = false;
                let input = if reset { server::Input::Reset } else { server::Input::EndOfInput };
                self.session.handle(self.now, input);
                return true;
            }
            return false;
        }
        let length = 1 + self.chance.below(self.to_server.bytes.len());
        let bytes: Vec<u8> = self.to_server.bytes.drain(..length).collect();
        self.server_lines.extend(&bytes);
        while let Some(line) = self.server_lines.next_line() {
            self.session.handle(self.now, server::Input::Line(line));
        }
        true
    }

    fn bytes_reach_client(&mut self) -> bool {
        if self.client_closed || self.client_tls.is_some() {
            return false;
        }
        if self.to_client.bytes.is_empty() {
            if self.to_client.fin || self.to_client.reset {
                let input = if self.to_client.reset { Input::Reset } else { Input::EndOfInput };
                self.dialogue.handle(self.now, input);
                return true;
            }
            return false;
        }
        let length = 1 + self.chance.below(self.to_client.bytes.len());
        let bytes: Vec<u8> = self.to_client.bytes.drain(..length).collect();
        self.client_lines.extend(&bytes);
        while let Some(line) = self.client_lines.next_line() {
            self.dialogue.handle(self.now, Input::Line(line));
        }
        true
    }

    fn server_is_answered(&mut self) -> bool {
        if self.server.answers.is_empty() {
            return false;
        }
        let which = self.chance.below(self.server.answers.len());
        let input = self.server.answers.swap_remove(which);
        self.session.handle(self.now, input);
        true
    }

    fn client_is_answered(&mut self) -> bool {
        let Some(input) = self.client.answers.pop_front() else { return false };
        self.dialogue.handle(self.now, input);
        true
    }

    /// Nothing else can happen, so the next deadline comes.
    fn time_goes_on(&mut self) -> bool {
        let deadline = [self.session.deadline(), self.dialogue.deadline()].into_iter().flatten().min();
        match deadline {
            Some(deadline) => self.pass_time(deadline),
            None => return self.transfers_stall(),
        }
        true
    }

    /// Two that both send, or both receive, wait until whoever moves the bytes gives up.
    fn transfers_stall(&mut self) -> bool {
        let server = self.server.stall(&mut self.chance, &mut self.network);
        let client = self.client.stall(&mut self.chance, &mut self.network);
        self.log.stalls += usize::from(server || client);
        server || client
    }

    /// Nobody does anything for a while.
    pub fn wait(&mut self, seconds: u64) {
        self.pass_time(self.now + Duration::from_secs(seconds));
    }

    fn pass_time(&mut self, until: Moment) {
        self.now = self.now.max(until);
        self.log.lines.push(format!("-- it is {} s", self.now.0.as_secs()));
        self.session.handle(self.now, server::Input::Timeout);
        self.dialogue.handle(self.now, Input::Timeout);
    }

    pub fn break_control(&mut self, hard: bool) {
        self.log.lines.push("-- the control connection is lost".to_owned());
        for pipe in [&mut self.to_server, &mut self.to_client] {
            pipe.fin = true;
            pipe.reset = hard;
        }
    }

    /// Somebody in between says something to one of them.
    pub fn inject(&mut self, to_server: bool, bytes: &[u8]) {
        let whom = if to_server { "server" } else { "client" };
        self.log.lines.push(format!("-- into the {whom}: {}", bytes.escape_ascii()));
        let pipe = if to_server { &mut self.to_server } else { &mut self.to_client };
        pipe.bytes.extend(bytes);
    }

    pub fn drain(&mut self) {
        self.session.handle(self.now, server::Input::Drain);
    }

    pub fn shut_down(&mut self) {
        self.session.handle(self.now, server::Input::Shutdown);
    }

    /// The jobs of each data connection.
    pub fn jobs(&self) -> &BTreeMap<client::OperationId, Vec<RequestId>> {
        &self.client.jobs
    }
}
