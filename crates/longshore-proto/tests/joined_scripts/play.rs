//! Plays a script. Not inside: what is said.

use std::time::Duration;

use longshore_proto::client::{
    Ahead, Answer, ConnectFailure, Connection, DataEvent, DataOp, Dialogue, End, Event, FileForm, Input,
    ListForm, ModeChoice, Moment, OperationId, Options, Output, Protection, Refusal, Request, RequestId,
    StoreStart, TlsEvent,
};
use longshore_proto::command::{Mode, Secret};
use longshore_proto::line::Line;

struct Play {
    dialogue: Dialogue,
    now: Moment,
    requests: std::vec::IntoIter<Request>,
    /// What the dialogue has done and the script has not read.
    done: std::collections::VecDeque<String>,
}

pub fn play(options: Options, requests: Vec<Request>, script: &str) {
    let address = |text: &str| text.parse().expect("an address");
    let connection = Connection { local: address("198.51.100.7:50000"), peer: address("192.0.2.1:21") };
    play_on(connection, options, requests, script);
}

pub fn play_on(connection: Connection, options: Options, requests: Vec<Request>, script: &str) {
    let now = Moment(Duration::from_secs(1000));
    let mut play = Play {
        dialogue: Dialogue::new(options, connection, now),
        now,
        requests: requests.into_iter(),
        done: Default::default(),
    };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        play.line(line);
    }
    play.collect();
    assert_eq!(play.done.pop_front(), None, "more than the script says");
    assert!(play.requests.next().is_none(), "every request is asked");
}

impl Play {
    fn line(&mut self, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "ask" => {
                let request = self.requests.next().expect("a request");
                let id = self.dialogue.ask(self.now, request);
                assert_eq!(id.0.to_string(), rest);
            }
            "abort" => self.dialogue.abort(self.now, RequestId(rest.parse().expect("a number"))),
            "wait" => {
                self.now = self.now + Duration::from_secs(rest.parse().expect("seconds"));
                self.dialogue.handle(self.now, Input::Timeout);
            }
            "<" => self.dialogue.handle(self.now, Input::Line(Line::Command(rest.as_bytes()))),
            "!" => self.happens(rest),
            _ => {
                self.collect();
                assert_eq!(self.done.pop_front().as_deref(), Some(line));
                return;
            }
        }
        // Requests may be asked for at any time.
        if kind != "ask" {
            assert_eq!(self.done.pop_front(), None, "before {line}");
        }
        self.collect();
    }

    fn happens(&mut self, text: &str) {
        let mut words = text.split(' ');
        let what = words.next().expect("a word");
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let id = OperationId(number());
        let moved = |bytes, end| DataEvent::Moved { bytes, end };
        let event = match what {
            "connected" => DataEvent::Connected,
            "refused" => DataEvent::Failed(ConnectFailure::Refused),
            "cancelled" => DataEvent::Failed(ConnectFailure::Cancelled),
            "listening" => DataEvent::Listening("198.51.100.7:40000".parse().expect("an address")),
            "moved" => moved(number(), End::Complete),
            "reset" => moved(number(), End::Reset),
            "stopped" => moved(number(), End::Cancelled),
            "fails" => moved(number(), End::Local("the disk is full".to_owned())),
            "closed" => DataEvent::Closed,
            "up" => return self.dialogue.handle(self.now, Input::Tls(id, TlsEvent::Up)),
            "behind" => return self.dialogue.handle(self.now, Input::Tls(id, TlsEvent::BytesBehind)),
            "end" => return self.dialogue.handle(self.now, Input::EndOfInput),
            other => panic!("{other} is nothing that happens"),
        };
        self.dialogue.handle(self.now, Input::Data(id, event));
    }

    fn collect(&mut self) {
        while let Some(output) = self.dialogue.next() {
            self.done.push_back(shown(&output));
        }
    }
}

pub fn shown(output: &Output) -> String {
    match output {
        Output::Send(line) => format!("> {}", String::from_utf8_lossy(line.shown())),
        Output::SendSynch => "* synch".to_owned(),
        Output::StartTls(id) => format!("* tls {}", id.0),
        Output::Data(id, op) => format!("* {} {}", id.0, shown_op(op)),
        Output::Done(id, result) => format!("= {} {}", id.0, shown_result(result)),
        Output::Event(Event::Greeting(_)) => "* greeted".to_owned(),
        Output::Event(Event::Unasked(reply)) => format!("* unasked {}", reply.code),
        Output::Event(Event::AskedAgain(id, _)) => format!("* again {}", id.0),
        Output::Close => "* close".to_owned(),
    }
}

pub fn shown_op(op: &DataOp) -> String {
    let job = |what: &str, job: &longshore_proto::client::TransferJob| {
        let private = if job.protection == Protection::Private { " private" } else { "" };
        format!("{what} {} on {} from {}{private}", job.request.0, job.connection.0, job.offset)
    };
    match op {
        DataOp::Connect(address) => format!("connect {address}"),
        DataOp::Listen(address) => format!("listen {address}"),
        DataOp::Send(sent) => job("send", sent),
        DataOp::Receive(received) => job("receive", received),
        DataOp::Cancel => "cancel".to_owned(),
        DataOp::Close => "close".to_owned(),
        DataOp::Reset => "reset".to_owned(),
    }
}

pub fn shown_result(result: &Result<Answer, Refusal>) -> String {
    match result {
        Ok(Answer::Done(reply)) => format!("done {}", reply.code),
        Ok(Answer::LoggedIn(_)) => "in".to_owned(),
        Ok(Answer::Protected { data }) => format!("protected {data}"),
        Ok(Answer::Features(features)) => format!("features {}", features.lines().count()),
        Ok(Answer::Directory(path)) => format!("directory {}", String::from_utf8_lossy(path)),
        Ok(Answer::Size(size)) => format!("size {size}"),
        Ok(Answer::Modified(time)) => format!("modified {}", time.seconds),
        Ok(Answer::Moved { verb, bytes, .. }) => format!("{} {bytes}", verb.name()),
        Ok(Answer::Closed(_)) => "closed".to_owned(),
        Err(Refusal::Replied { command, reply }) => format!("no {command} {}", reply.code),
        Err(Refusal::Unreadable { command, .. }) => format!("unreadable {command}"),
        Err(Refusal::Unsendable(_)) => "unsendable".to_owned(),
        Err(Refusal::NoDataConnection { .. }) => "no connection".to_owned(),
        Err(Refusal::Cut { bytes, reply, .. }) => {
            format!("cut {bytes} {}", reply.as_ref().map_or(0, |reply| reply.code))
        }
        Err(Refusal::Aborted { bytes, .. }) => format!("aborted {bytes}"),
        Err(Refusal::Lost { fate, .. }) => format!("lost {fate:?}"),
    }
}

pub fn login() -> Request {
    Request::Login { user: b"alice".to_vec(), password: Secret(b"wonderland".to_vec()), account: None }
}

pub fn get(path: &str) -> Request {
    Request::Retrieve { path: path.into(), offset: 0, form: FileForm::default() }
}

pub fn put(path: &str) -> Request {
    Request::Store { path: path.into(), start: StoreStart::Replace, form: FileForm::default() }
}

pub fn list(form: ListForm) -> Request {
    Request::List { form, path: None }
}

/// Block mode with commands ahead.
pub fn blocks(data: bool) -> Options {
    let ahead = Ahead { commands: 8, data, ..Ahead::default() };
    Options { mode: ModeChoice::Insist(Mode::Block), ahead, ..Options::default() }
}

/// A script that goes on where a data connection in block mode stands: operation 1, and `RETR a` is next.
pub fn in_blocks(data: bool, requests: Vec<Request>, script: &str) {
    in_blocks_with(blocks(data), requests, "TYPE I", script);
}

pub fn in_blocks_with(options: Options, requests: Vec<Request>, first: &str, script: &str) {
    let asked: String = (0..requests.len()).map(|id| format!("ask {id}\n")).collect();
    // Where commands go ahead, what is set and the data connection are asked for at once.
    let start = "
        < 220 ready
        * greeted
        > FIRST
        > MODE B
        > EPSV
        < 200 ok
        < 200 B
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
    ";
    let start = start.replace("FIRST", first);
    play(options, requests, &format!("{asked}{start}{script}"));
}
