//! The client's dialogue with servers that say anything at any time. Whatever they do, each request is answered once and
//! in order, jobs begin one after the other on connections that stand, and nothing follows the end.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_proto::client::{
    Ahead, ConnectFailure, Connection, DataEvent, DataOp, Dialogue, End, FileForm, Input, ListForm,
    ModeChoice, Moment, OperationId, Options, Output, Request, RequestId, RouteChoice, StoreStart, TlsEvent,
};
use longshore_proto::command::{Mode, Secret};
use longshore_proto::limits::REPLY_LINE_LIMIT_BYTES;
use longshore_proto::line::Buffer;
use proptest::prelude::*;

/// What comes next.
#[derive(Clone, Debug)]
enum Act {
    Ask(usize),
    Abort(u64),
    /// A reply that this sort of server might give.
    Reply(usize),
    Bytes(Vec<u8>),
    /// An answer to an operation that has none yet.
    Answer(usize, usize),
    Closed(usize),
    Wait(u64),
}

const REPLIES: &[&str] = &[
    "220 ready\r\n",
    "120 soon\r\n",
    "200 ok\r\n",
    "211-a\r\n MODE B\r\n MLST\r\n211 End\r\n",
    "211-a\r\n MODE Z\r\n OPTS MODE Z KEEP\r\n211 End\r\n",
    "213 12\r\n",
    "226 done\r\n",
    "225 no transfer\r\n",
    "227 (10,0,0,1,4,5)\r\n",
    "229 (|||50000|)\r\n",
    "230 in\r\n",
    "234 tls\r\n",
    "250 kept\r\n",
    "257 \"/\"\r\n",
    "331 password\r\n",
    "332 account\r\n",
    "350 go on\r\n",
    "125 open\r\n",
    "150 opening\r\n",
    "110 MARK\r\n",
    "425 no\r\n",
    "426 cut\r\n",
    "450 busy\r\n",
    "500 what\r\n",
    "503 order\r\n",
    "550 no\r\n",
    "553 no\r\n",
    "220-a\r\n230 b\r\n",
];

fn request(which: usize) -> Request {
    let name = || b"name".to_vec();
    let form = FileForm::default();
    let login = |account| Request::Login { user: name(), password: Secret(name()), account };
    match which {
        0 => login(None),
        1 => login(Some(Secret(name()))),
        2 => Request::StartTls,
        3 => Request::Features,
        4 => Request::CurrentDirectory,
        5 => Request::Rename { from: name(), to: name() },
        6 => Request::Size(name()),
        7 => Request::List { form: ListForm::Facts, path: None },
        8 => Request::List { form: ListForm::Long, path: Some(name()) },
        9 => Request::Raw(b"SITE X".to_vec()),
        10 => Request::Noop,
        11 => Request::Quit,
        12 => Request::Store { path: name(), start: StoreStart::Append, form },
        13 => Request::Store { path: name(), start: StoreStart::At(4), form },
        14 => Request::Retrieve { path: name(), offset: 4, form },
        15..=19 => Request::Store { path: name(), start: StoreStart::Replace, form },
        20 => Request::MakeDirectory(b"a\nb".to_vec()),
        _ => Request::Retrieve { path: name(), offset: 0, form },
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_usize..26).prop_map(Act::Ask),
        1 => (0_u64..30).prop_map(Act::Abort),
        16 => (0..REPLIES.len()).prop_map(Act::Reply),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Act::Bytes),
        12 => (0_usize..4, 0_usize..8).prop_map(|(which, how)| Act::Answer(which, how)),
        1 => (0_usize..4).prop_map(Act::Closed),
        1 => (0_u64..40).prop_map(Act::Wait),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let mode = prop_oneof![
        Just(ModeChoice::Stream),
        Just(ModeChoice::Insist(Mode::Block)),
        Just(ModeChoice::Prefer(Mode::Block)),
        Just(ModeChoice::Prefer(Mode::Deflate)),
        Just(ModeChoice::Insist(Mode::Deflate)),
    ];
    (mode, any::<[bool; 4]>(), 1_usize..9).prop_map(|(mode, [active, data, implicit, again], commands)| {
        Options {
            mode,
            route: if active { RouteChoice::Active { address: None } } else { RouteChoice::Passive },
            ahead: Ahead { commands, data, ..Ahead::default() },
            implicit_tls: implicit,
            ask_again_after_cut: again,
            ..Options::default()
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Tls(OperationId),
    Connect(OperationId),
    Listen(OperationId),
    Job(OperationId, OperationId),
}

struct Player {
    dialogue: Dialogue,
    now: Moment,
    lines: Buffer,
    open: Vec<Open>,
    links: BTreeSet<OperationId>,
    asked: u64,
    answered: Vec<RequestId>,
    closed: bool,
}

impl Player {
    fn act(&mut self, act: Act) {
        match act {
            Act::Ask(which) => {
                let id = self.dialogue.ask(self.now, request(which));
                assert_eq!(id, RequestId(self.asked));
                self.asked += 1;
            }
            Act::Abort(id) => self.dialogue.abort(self.now, RequestId(id)),
            Act::Reply(which) => self.hear(REPLIES[which].as_bytes()),
            Act::Bytes(bytes) => self.hear(&bytes),
            Act::Answer(which, how) if which < self.open.len() => {
                let open = self.open.remove(which);
                self.answer(open, how);
            }
            Act::Closed(which) => {
                let idle = |link: &&OperationId| {
                    !self.open.iter().any(|open| matches!(open, Open::Job(_, on) if on == *link))
                };
                if let Some(&link) = self.links.iter().filter(idle).nth(which) {
                    self.links.remove(&link);
                    self.dialogue.handle(self.now, Input::Data(link, DataEvent::Closed));
                }
            }
            Act::Wait(seconds) => {
                self.now = self.now + Duration::from_secs(seconds);
                self.dialogue.handle(self.now, Input::Timeout);
            }
            Act::Answer(..) => {}
        }
        self.carry_out();
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.lines.extend(bytes);
        while let Some(line) = self.lines.next_line() {
            self.dialogue.handle(self.now, Input::Line(line));
        }
    }

    fn answer(&mut self, open: Open, how: usize) {
        let (id, event) = match open {
            Open::Tls(id) => {
                let event = if how == 0 { TlsEvent::Failed("no".to_owned()) } else { TlsEvent::Up };
                return self.dialogue.handle(self.now, Input::Tls(id, event));
            }
            Open::Connect(id) | Open::Listen(id) if how == 0 => {
                (id, DataEvent::Failed(ConnectFailure::Refused))
            }
            Open::Connect(id) => {
                self.links.insert(id);
                (id, DataEvent::Connected)
            }
            Open::Listen(id) => {
                self.links.insert(id);
                (id, DataEvent::Listening("198.51.100.7:40000".parse().expect("an address")))
            }
            Open::Job(id, _) => {
                let end = match how {
                    0 => End::Reset,
                    1 => End::Stalled,
                    _ => End::Complete,
                };
                (id, DataEvent::Moved { bytes: 1, end })
            }
        };
        self.dialogue.handle(self.now, Input::Data(id, event));
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.dialogue.next() {
            match output {
                Output::Done(id, _) => self.answered.push(id),
                _ if self.closed => panic!("{output:?} behind the end"),
                Output::StartTls(id) => self.open.push(Open::Tls(id)),
                Output::Data(id, op) => self.data(id, op),
                Output::Close => self.closed = true,
                Output::Send(line) => {
                    let bytes = line.bytes().strip_suffix(b"\r\n").expect("an end");
                    assert!(!bytes.iter().any(|byte| b"\r\n\0".contains(byte)));
                }
                Output::SendSynch | Output::Event(_) => {}
            }
        }
    }

    fn data(&mut self, id: OperationId, op: DataOp) {
        match op {
            DataOp::Connect(address) => {
                assert_eq!(address.ip().to_string(), "192.0.2.1", "no other host is connected to");
                self.open.push(Open::Connect(id));
            }
            DataOp::Listen(_) => self.open.push(Open::Listen(id)),
            DataOp::Send(job) | DataOp::Receive(job) => {
                assert!(self.links.contains(&job.connection), "a job begins on a connection that stands");
                let runs = self.open.iter().any(|open| matches!(open, Open::Job(..)));
                assert!(!runs, "jobs run one after the other");
                self.open.push(Open::Job(id, job.connection));
            }
            DataOp::Cancel => {
                let which = self.open.iter().position(|open| match open {
                    Open::Job(open, _) | Open::Connect(open) => *open == id,
                    _ => false,
                });
                if let Some(which) = which {
                    let (id, event) = match self.open.remove(which) {
                        Open::Job(id, _) => (id, DataEvent::Moved { bytes: 0, end: End::Cancelled }),
                        _ => (id, DataEvent::Failed(ConnectFailure::Cancelled)),
                    };
                    self.dialogue.handle(self.now, Input::Data(id, event));
                }
            }
            DataOp::Close | DataOp::Reset => {
                let jobs = self.open.iter().any(|open| matches!(open, Open::Job(_, on) if *on == id));
                assert!(!jobs, "a job is cancelled before its connection is closed");
                self.open
                    .retain(|open| !matches!(open, Open::Connect(open) | Open::Listen(open) if *open == id));
                self.links.remove(&id);
            }
        }
    }
}

/// Cases of the everyday run. `LONGSHORE_HOSTILE_CASES` at build time is another number.
fn cases() -> u32 {
    option_env!("LONGSHORE_HOSTILE_CASES").map_or(1500, |text| text.parse().expect("a number"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn anything_goes(options in options(), acts in prop::collection::vec(act(), 0..160)) {
        let now = Moment(Duration::from_secs(1000));
        let address = |text: &str| text.parse().expect("an address");
        let connection = Connection { local: address("198.51.100.7:50000"), peer: address("192.0.2.1:21") };
        let mut player = Player {
            dialogue: Dialogue::new(options, connection, now),
            now,
            lines: Buffer::new(REPLY_LINE_LIMIT_BYTES),
            open: Vec::new(),
            links: BTreeSet::new(),
            asked: 0,
            answered: Vec::new(),
            closed: false,
        };
        player.carry_out();
        // Most servers greet, or nothing would be seen.
        player.act(Act::Answer(0, 1));
        player.act(Act::Reply(0));
        for act in acts {
            player.act(act);
        }
        player.dialogue.handle(player.now, Input::EndOfInput);
        player.carry_out();
        prop_assert!(player.closed && player.dialogue.unanswered() == 0);
        prop_assert!(player.links.is_empty(), "a connection is left open");
        prop_assert_eq!(player.answered, (0..player.asked).map(RequestId).collect::<Vec<_>>());
    }
}
