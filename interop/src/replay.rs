//! Dialogues of clients that cannot run here, written down line by line and played against the server.
//!
//! A replay is text. `#` begins a comment; those at the head say who talks so and where that is known from.
//! `> LINE` sends a line, `< CODES` reads one reply, whose code is one of these (`226`, `125 150`, `5xx`). Lines that
//! are sent without a reply read in between are pipelined. `= STEP` does what no line says:
//!
//! | step | meaning |
//! |---|---|
//! | `connect` | connects to the port that the last 227 or 229 named |
//! | `listen` | listens for the server; `{port}` and `{eprt}` in later lines are its address |
//! | `accept` | takes the server's connection |
//! | `send N` | sends N bytes on the data connection |
//! | `end` | ends the data connection in order |
//! | `receive` | reads the data connection to its end |
//! | `holds TEXT` | what was received holds this text |
//! | `place PATH` | puts a file into the served folder beforehand |
//! | `stored PATH` | the file holds what was sent, now or soon |
//! | `absent PATH` | no such file is there |
//! | `hang up` | closes the control connection without a word |
//! | `closed` | the server closes the control connection |
//!
//! `{user}` and `{password}` are those of the account. Not inside: any knowledge of FTP beyond the form of replies.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::content::{assert_same_bytes, pattern};
use crate::control::{Control, Reply};
use crate::server::{PASSWORD, Server, USER};
use crate::wait::{poll, wait_for};
use crate::way::Family;

/// How long a step may take.
const BOUND: Duration = Duration::from_secs(30);

/// What one line of a replay does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Move {
    Say(String),
    Hear(Vec<String>),
    Connect,
    Listen,
    Accept,
    Send(usize),
    End,
    Receive,
    Holds(String),
    Place(String),
    Stored(String),
    Absent(String),
    HangUp,
    Closed,
}

/// Plays a replay; `name` is that of its file.
///
/// # Panics
/// When the server does not do what the replay says, with the dialogue so far.
#[track_caller]
pub fn play(server: &Server, name: &str, text: &str) {
    let moves = parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut player = Player {
        server,
        control: None,
        data: None,
        listener: None,
        last: None,
        sent: Vec::new(),
        received: Vec::new(),
        dialogue: String::new(),
    };
    for (line, action) in moves {
        let _ = writeln!(player.dialogue, "{line:>4} {action:?}");
        if let Err(error) = player.act(&action) {
            panic!("{name}, line {line}: {error}\n---- the dialogue:\n{}", player.dialogue);
        }
    }
}

/// The moves of a replay, with their lines.
fn parse(text: &str) -> Result<Vec<(usize, Move)>, String> {
    let mut moves = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let error = |what: &str| format!("line {}: {what}: {line:?}", index + 1);
        let Some((mark, rest)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else {
            match line {
                "" | "#" => continue,
                _ if line.starts_with('#') => continue,
                _ => return Err(error("neither comment, >, < nor =")),
            }
        };
        let action = match mark {
            ">" => Move::Say(rest.to_owned()),
            "<" => {
                let codes: Vec<String> = rest.split(' ').map(str::to_owned).collect();
                let is_code = |code: &String| {
                    code.len() == 3 && code.chars().all(|sign| sign.is_ascii_digit() || sign == 'x')
                };
                if !codes.iter().all(is_code) {
                    return Err(error("not codes"));
                }
                Move::Hear(codes)
            }
            "=" => step(rest).ok_or_else(|| error("no such step"))?,
            _ => return Err(error("neither comment, >, < nor =")),
        };
        moves.push((index + 1, action));
    }
    Ok(moves)
}

fn step(words: &str) -> Option<Move> {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    Some(match (verb, rest) {
        ("connect", "") => Move::Connect,
        ("listen", "") => Move::Listen,
        ("accept", "") => Move::Accept,
        ("end", "") => Move::End,
        ("receive", "") => Move::Receive,
        ("hang", "up") => Move::HangUp,
        ("closed", "") => Move::Closed,
        ("send", number) => Move::Send(number.parse().ok()?),
        (_, "") => return None,
        ("holds", text) => Move::Holds(text.to_owned()),
        ("place", path) => Move::Place(path.to_owned()),
        ("stored", path) => Move::Stored(path.to_owned()),
        ("absent", path) => Move::Absent(path.to_owned()),
        _ => return None,
    })
}

struct Player<'a> {
    server: &'a Server,
    /// Made by the first line that needs it.
    control: Option<Control>,
    data: Option<TcpStream>,
    listener: Option<TcpListener>,
    last: Option<Reply>,
    sent: Vec<u8>,
    received: Vec<u8>,
    dialogue: String,
}

impl Player<'_> {
    fn act(&mut self, action: &Move) -> Result<(), String> {
        let address = self.server.address(Family::Ipv4);
        match action {
            Move::Say(line) => {
                let line = self.filled_in(line)?;
                self.control().send(&line);
            }
            Move::Hear(codes) => {
                let reply = self.control().reply();
                let _ = writeln!(self.dialogue, "     {} {}", reply.code, reply.text);
                let code = reply.code.to_string();
                let fits = |wanted: &String| {
                    wanted.chars().zip(code.chars()).all(|(wanted, digit)| wanted == 'x' || wanted == digit)
                };
                if !codes.iter().any(fits) {
                    return Err(format!("answered {} {}", reply.code, reply.text));
                }
                self.last = Some(reply);
            }
            Move::Connect => {
                let reply = self.last.as_ref().ok_or("nothing was answered yet")?;
                let port = port_in(&reply.text).ok_or_else(|| format!("no port in {reply:?}"))?;
                let data = TcpStream::connect(SocketAddr::new(address.ip(), port));
                self.data = Some(bounded(data.map_err(|error| format!("port {port}: {error}"))?)?);
            }
            Move::Listen => {
                let listener =
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
                listener.set_nonblocking(true).map_err(|error| error.to_string())?;
                self.listener = Some(listener);
            }
            Move::Accept => {
                let listener = self.listener.as_ref().ok_or("nobody listens")?;
                let data = poll(BOUND, || listener.accept().ok()).ok_or("the server did not connect")?.0;
                data.set_nonblocking(false).map_err(|error| error.to_string())?;
                self.data = Some(bounded(data)?);
            }
            Move::Send(size) => {
                let bytes = pattern(*size, 21);
                self.data()?.write_all(&bytes).map_err(|error| format!("the data connection: {error}"))?;
                self.sent = bytes;
            }
            Move::End => drop(self.data.take().ok_or("no data connection stands")?),
            Move::Receive => {
                let mut data = self.data.take().ok_or("no data connection stands")?;
                self.received.clear();
                data.read_to_end(&mut self.received)
                    .map_err(|error| format!("the data connection: {error}"))?;
            }
            Move::Holds(text) => {
                let received = String::from_utf8_lossy(&self.received);
                if !received.contains(text) {
                    return Err(format!("{text:?} is not in {received:?}"));
                }
            }
            Move::Place(path) => {
                std::fs::write(self.server.served().join(path), "placed")
                    .map_err(|error| error.to_string())?;
            }
            Move::Stored(path) => {
                let file = self.server.served().join(path);
                let bytes = wait_for(&format!("the file {path}"), BOUND, || std::fs::read(&file).ok());
                assert_same_bytes(path, &bytes, &self.sent);
            }
            Move::Absent(path) => {
                if self.server.served().join(path).exists() {
                    return Err(format!("{path} is there"));
                }
            }
            Move::HangUp => drop(self.control.take().ok_or("no control connection stands")?),
            Move::Closed => {
                self.control.take().ok_or("no control connection stands")?.await_close()?;
            }
        }
        Ok(())
    }

    fn control(&mut self) -> &mut Control {
        let address = self.server.address(Family::Ipv4);
        self.control.get_or_insert_with(|| Control::connect(address))
    }

    fn data(&mut self) -> Result<&mut TcpStream, String> {
        self.data.as_mut().ok_or_else(|| "no data connection stands".to_owned())
    }

    fn filled_in(&self, line: &str) -> Result<String, String> {
        let mut line = line.replace("{user}", USER).replace("{password}", PASSWORD);
        if line.contains("{port}") || line.contains("{eprt}") {
            let listener = self.listener.as_ref().ok_or("nobody listens")?;
            let port = listener.local_addr().map_err(|error| error.to_string())?.port();
            line = line.replace("{port}", &format!("127,0,0,1,{},{}", port >> 8, port & 255));
            line = line.replace("{eprt}", &format!("|1|127.0.0.1|{port}|"));
        }
        Ok(line)
    }
}

fn bounded(data: TcpStream) -> Result<TcpStream, String> {
    data.set_read_timeout(Some(BOUND)).map_err(|error| error.to_string())?;
    data.set_write_timeout(Some(BOUND)).map_err(|error| error.to_string())?;
    Ok(data)
}

/// The port in the text of a 227 or 229.
fn port_in(text: &str) -> Option<u16> {
    if let Some((_, rest)) = text.split_once("|||") {
        return rest.split('|').next()?.parse().ok();
    }
    let numbers = text.split_once('(')?.1.split(')').next()?;
    let numbers: Vec<u16> = numbers.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [_, _, _, _, high @ 0..=255, low @ 0..=255] => Some(high << 8 | low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Move) {
        assert_eq!(parse(line), Ok(vec![(1, expected)]));
    }

    #[test]
    fn lines_become_moves() {
        check("> STOR a b ", Move::Say("STOR a b ".to_owned()));
        check("< 125 150", Move::Hear(vec!["125".to_owned(), "150".to_owned()]));
        check("< 5xx", Move::Hear(vec!["5xx".to_owned()]));
        check("= send 100", Move::Send(100));
        check("= hang up", Move::HangUp);
        check("= stored a b", Move::Stored("a b".to_owned()));
        assert_eq!(parse("# a comment\n#\n\n= end\n"), Ok(vec![(4, Move::End)]));
    }

    #[test]
    fn what_is_no_move_is_refused() {
        for line in
            ["USER x", "< 22", "< ok", "= fly", "= send", "= send x", "= stored", ">", "= connect now"]
        {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn ports_are_read_from_both_replies() {
        assert_eq!(port_in("Entering Passive Mode (127,0,0,1,97,174)"), Some(97 << 8 | 174));
        assert_eq!(port_in("Entering Extended Passive Mode (|||25008|)"), Some(25008));
        assert_eq!(port_in("Entering Passive Mode (127,0,0,1,256,0)"), None);
        assert_eq!(port_in("no port"), None);
    }
}
