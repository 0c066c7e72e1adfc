//! Dialogues as tables of words, for tests that read like the thing itself.
//!
//! Not inside: what is right; that is what the tables say.

use std::time::Duration;

use longshore_proto::server::{
    ConnectFailure, Connection, DataEvent, End, LoginOutcome, Policy, StorageOutcome, TlsEvent, TlsNeed,
};
use longshore_proto::transmission::{Error, Problem};
use longshore_proto::verbs::Failure;

use super::known::Kind;
use super::world::{Client, Ended, Handshake, Work, World};

/// A world and how far its replies have been read.
pub struct Scene {
    pub world: World,
    read: usize,
}

/// Plays a dialogue from the greeting on. What stands in the first column:
///
/// - `send` a line, `bytes` with `\xNN`, `\r`, `\n` as they are written here
/// - `expect` a code, and words of the situation's id or text; `line` within the reply read last; `nothing`
/// - `went` clear, inside TLS: the reply read last
/// - `closed`, `open`: the control connection
/// - `wait` milliseconds; `urgent`, `end`, `reset`, `drain`, `shutdown`
/// - `client` follows, stands, stays away, strangers N, refuses, is unreachable, stays silent, speaks clear,
///   breaks TLS, comes anew, sends others, leaves (closes what stays)
/// - `transfer` complete N, goes on N, reset N, stalls N, fails N, fills N, shrinks N, breaks TLS N,
///   without close_notify N, unexpected TLS N, cut N, malformed N, unknown page N
/// - `marker` its text and the octets before it, in the upload that runs
/// - `handshake` succeeds, with certificate, fails: TLS on the control connection
/// - `need` nothing, login, data: what accounts need
/// - `back` held: nothing that waits begins; `back` free: it does
/// - `stays` yes or no: whether a data connection of the transfer before stands
/// - `ports` free, none, or without sockets; `hold` a kind of operation; `release` it (no longer held)
/// - `answer` a held operation, truly or as the words behind it say
/// - `file` with its size, `directory`; `sent` the names of a listing; `size` of a file, or `none`
#[track_caller]
pub fn check(steps: &[(&str, &str)]) {
    let mut scene = Scene::new(World::over_ipv4());
    scene.play(&[("expect", "220 session.greeting")]);
    scene.play(steps);
    scene.end();
}

/// As [`check`], behind a login, with a file `/a` of 100 bytes and a directory `/d`.
#[track_caller]
pub fn check_logged_in(steps: &[(&str, &str)]) {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(steps);
    scene.end();
}

/// A scene behind a login.
pub fn logged_in(policy: Policy, connection: Connection) -> Scene {
    let mut scene = Scene::new(World::new(policy, connection));
    scene.play(&[
        ("expect", "220"),
        ("send", "USER anonymous"),
        ("expect", "331"),
        ("send", "PASS x"),
        ("expect", "230"),
        ("file", "/a 100"),
        ("directory", "/d"),
    ]);
    scene
}

impl Scene {
    pub fn new(world: World) -> Scene {
        Scene { world, read: 0 }
    }

    /// What was said so far needs no further look.
    pub fn skip(&mut self) {
        self.read = self.world.said.len();
    }

    #[track_caller]
    pub fn play(&mut self, steps: &[(&str, &str)]) {
        for (index, step) in steps.iter().enumerate() {
            if let Err(complaint) = self.step(step.0, step.1) {
                panic!("{}\n\nstep {index}, {step:?}: {complaint}", self.world.log());
            }
        }
    }

    /// Every reply must have been expected, and the session must be able to end.
    #[track_caller]
    pub fn end(mut self) {
        let rest: Vec<String> =
            self.world.said[self.read..].iter().map(|said| said.situation.id().to_owned()).collect();
        assert!(rest.is_empty(), "{}\n\nnobody expected {rest:?}", self.world.log());
        self.world.finish();
    }

    fn step(&mut self, word: &str, argument: &str) -> Result<(), String> {
        let world = &mut self.world;
        match word {
            "send" => world.send_line(argument),
            "bytes" => world.send(&unescape(argument)),
            "expect" => return self.expect(argument),
            "line" => return self.expect_line(argument),
            "went" => {
                let protected = self.world.said[self.read - 1].protected;
                return demand(protected == (argument == "inside TLS"), || format!("protected: {protected}"));
            }
            "nothing" => {
                let unread = self.world.said.get(self.read);
                return demand(unread.is_none(), || {
                    format!("{:?} was said", unread.map(|said| said.situation))
                });
            }
            "closed" => return demand(world.closed, || "it is open".to_owned()),
            "open" => return demand(!world.closed, || "it is closed".to_owned()),
            "wait" => world.advance(Duration::from_millis(number(argument))),
            "urgent" => world.urgent(),
            "end" => world.end_of_input(),
            "reset" => world.reset(),
            "drain" => world.drain(),
            "shutdown" => world.shut_down(),
            "back" => world.hold_back(argument == "held"),
            "client" => world.client = client(argument),
            "transfer" => world.transfer = transfer(argument),
            "handshake" => world.handshake = handshake(argument),
            "need" => world.need = need(argument),
            "ports" => {
                (world.ports_free, world.sockets) = (argument == "free", argument != "without sockets")
            }
            "hold" => world.held.push(kind(argument)),
            "release" => {
                let kind = kind(argument);
                world.held.retain(|held| *held != kind);
                world.settle();
            }
            "answer" => answer(world, argument),
            "marker" => {
                let (text, offset) = argument.rsplit_once(' ').expect("a marker and an offset");
                world.marker(&unescape(text), number(offset));
            }
            "stays" => {
                let (stays, wanted) = (world.stays, argument == "yes");
                return demand(stays == wanted, || format!("the data connection stays: {stays}"));
            }
            "file" => {
                let (path, size) = argument.rsplit_once(' ').expect("a path and a size");
                world.files.add_file(path.as_bytes(), number(size));
            }
            "directory" => world.files.add_directory(argument.as_bytes()),
            "sent" => {
                let sent = world.sent.join(&b' ');
                return demand(sent == argument.as_bytes(), || String::from_utf8_lossy(&sent).into_owned());
            }
            "size" => {
                let (path, size) = argument.rsplit_once(' ').expect("a path and a size");
                let found = match world.files.get(path.as_bytes()) {
                    Some(super::Node::File { size, .. }) => size.to_string(),
                    Some(super::Node::Directory) => "directory".to_owned(),
                    None => "none".to_owned(),
                };
                return demand(found == size, || found);
            }
            _ => return Err("no such word".to_owned()),
        }
        Ok(())
    }

    fn expect(&mut self, expected: &str) -> Result<(), String> {
        let said = self.world.said.get(self.read).ok_or("nothing was said")?;
        self.read += 1;
        let text = format!("{} {} {}", said.situation.code(), said.situation.id(), said.reply.text());
        let (code, words) = expected.split_once(' ').unwrap_or((expected, ""));
        demand(text.starts_with(code) && text.contains(words), || text)
    }

    fn expect_line(&mut self, expected: &str) -> Result<(), String> {
        let reply = &self.world.said[self.read - 1].reply;
        let found = reply.lines.iter().any(|line| line == expected.as_bytes());
        let lines: Vec<_> =
            reply.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        demand(found, || format!("{lines:?}"))
    }
}

fn demand(holds: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint()) }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn client(words: &str) -> Client {
    match words.split_once(' ').unwrap_or((words, "")) {
        ("follows", _) => Client::Follows,
        ("stands", _) => Client::Stands,
        ("stays", "away") => Client::StaysAway { strangers: 0 },
        ("strangers", count) => Client::StaysAway { strangers: number(count) as u32 },
        ("leaves", _) => Client::Leaves,
        ("refuses", _) => Client::Refuses,
        ("is", "unreachable") => Client::Unreachable,
        ("stays", "silent") => Client::StaysSilent,
        ("speaks", "clear") => Client::SpeaksClear,
        ("breaks", "TLS") => Client::BreaksTls,
        ("comes", "anew") => Client::ComesAnew,
        ("sends", "others") => Client::SendsOthers,
        _ => panic!("a client that {words}?"),
    }
}

fn transfer(words: &str) -> Ended {
    let (how, bytes) = words.rsplit_once(' ').expect("how, and how many bytes");
    let bytes = number(bytes);
    match how {
        "complete" => Ended::Complete(bytes),
        "goes on" => Ended::GoesOn(bytes),
        "reset" => Ended::Early(bytes, End::Reset),
        "stalls" => Ended::Early(bytes, End::Stalled),
        "fails" => Ended::Early(bytes, End::Storage(Failure::Fault)),
        "fills" => Ended::Early(bytes, End::Storage(Failure::NoSpace)),
        "cut" => malformed(Problem::Cut, bytes),
        "malformed" => malformed(Problem::Descriptor(1), bytes),
        "unknown page" => malformed(Problem::PageType(9), bytes),
        "shrinks" => Ended::Early(bytes, End::Shrank),
        "breaks TLS" => Ended::Early(bytes, End::TlsBroken),
        "without close_notify" => Ended::Early(bytes, End::NoCloseNotify),
        "unexpected TLS" => Ended::Early(bytes, End::TlsUnexpected),
        _ => panic!("a transfer that {words}?"),
    }
}

fn handshake(words: &str) -> Handshake {
    match words {
        "succeeds" => Handshake::Succeeds { certificate: false },
        "with certificate" => Handshake::Succeeds { certificate: true },
        "fails" => Handshake::Fails,
        _ => panic!("a handshake that {words}?"),
    }
}

fn need(word: &str) -> TlsNeed {
    match word {
        "nothing" => TlsNeed::Nothing,
        "login" => TlsNeed::Login,
        "data" => TlsNeed::Data,
        _ => panic!("no account needs {word}"),
    }
}

fn kind(word: &str) -> Kind {
    match word {
        "tls" => Kind::Tls,
        "login" => Kind::Login,
        "storage" => Kind::Storage,
        "commit" => Kind::Commit,
        "abandon" => Kind::Abandon,
        "reserve" => Kind::Reserve,
        "probe" => Kind::Probe,
        "establish" => Kind::Establish,
        "move" => Kind::Move,
        _ => panic!("no kind of operation is {word}"),
    }
}

fn answer(world: &mut World, words: &str) {
    let (of, how) = words.split_once(' ').unwrap_or((words, ""));
    let of = kind(of);
    match (of, how.split_once(' ').unwrap_or((how, ""))) {
        (_, ("", _)) => world.let_go(of),
        (Kind::Tls, ("fails", _)) => world.answer_tls(TlsEvent::Failed),
        (Kind::Login, ("rejected", earlier)) => {
            world.answer_login(LoginOutcome::Rejected { earlier: number(earlier) as u32 });
        }
        (Kind::Login, ("banned", seconds)) => {
            world.answer_login(LoginOutcome::Banned { seconds: number(seconds) });
        }
        (Kind::Storage | Kind::Commit, ("fails", name)) => {
            let failure = Failure::ALL.iter().find(|failure| format!("{failure:?}") == name);
            let failure = *failure.unwrap_or_else(|| panic!("no failure is {name}"));
            world.answer_storage(of, StorageOutcome::Failed(failure));
        }
        (Kind::Establish, ("established", _)) => world.answer_data(of, DataEvent::Established),
        (Kind::Establish, ("cancelled", _)) => {
            let failure = ConnectFailure::Cancelled { strangers: 0 };
            world.answer_data(of, DataEvent::NotEstablished(failure));
        }
        (Kind::Establish, ("handshake", "cancelled")) => {
            world.answer_data(of, DataEvent::NotEstablished(ConnectFailure::HandshakeCancelled));
        }
        (Kind::Establish, ("refused", _)) => {
            world.answer_data(of, DataEvent::NotEstablished(ConnectFailure::Refused));
        }
        (Kind::Move, ("complete", bytes)) => {
            finish(world, number(bytes), End::Complete);
        }
        // The client has ended its direction of a connection that might have stayed.
        (Kind::Move, ("closed", bytes)) => {
            let event = DataEvent::Finished { bytes: number(bytes), end: End::Complete, kept: false };
            world.answer_data(of, event);
        }
        (Kind::Move, ("cancelled", bytes)) => {
            finish(world, number(bytes), End::Cancelled);
        }
        _ => panic!("no answer is {words}"),
    }
}

fn finish(world: &mut World, bytes: u64, end: End) {
    let Some(Work::Move(job)) = world.work(Kind::Move) else { panic!("nothing moves") };
    let kept = World::may_keep(end, job);
    world.answer_data(Kind::Move, DataEvent::Finished { bytes, end, kept });
}

fn malformed(problem: Problem, bytes: u64) -> Ended {
    Ended::Early(bytes, End::Malformed(Error { problem, offset_bytes: bytes }))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&letter, behind) = rest.split_first().expect("something behind the backslash");
        rest = behind;
        match letter {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b'0' => out.push(0),
            b'x' => {
                let (digits, behind) = rest.split_at(2);
                rest = behind;
                let digits = std::str::from_utf8(digits).expect("two digits");
                out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
            }
            other => panic!("no escape is \\{}", char::from(other)),
        }
    }
    out
}
