//! The tests' own eyes: a control connection that speaks raw lines, to ask what a client would not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// How long an answer may take.
const BOUND: Duration = Duration::from_secs(30);

/// A control connection.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<TcpStream>,
}

/// One answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of its last line.
    pub text: String,
}

impl Control {
    /// Connects; the greeting is not read yet.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Control {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_read_timeout(Some(BOUND)).expect("a bound that is not zero");
        Control { stream: BufReader::new(stream) }
    }

    /// Connects and logs in.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Control {
        let mut control = Control::connect(address);
        assert_eq!(control.reply().code, 220);
        assert_eq!(control.say(&format!("USER {user}")).code, 331);
        assert_eq!(control.say(&format!("PASS {password}")).code, 230);
        assert_eq!(control.say("TYPE I").code, 200);
        control
    }

    /// Sends a command and reads its answer.
    ///
    /// # Panics
    /// When the connection ends or nothing comes.
    #[track_caller]
    pub fn say(&mut self, command: &str) -> Reply {
        self.send(command);
        self.reply()
    }

    /// Sends a command and reads nothing.
    ///
    /// # Panics
    /// When the connection has ended.
    #[track_caller]
    pub(crate) fn send(&mut self, command: &str) {
        let sent = self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes());
        sent.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// Waits until the server closes the connection, without another reply.
    pub(crate) fn await_close(mut self) -> Result<(), String> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(format!("said {:?} before it closed", String::from_utf8_lossy(&rest))),
            Err(error) => Err(format!("did not close the control connection: {error}")),
        }
    }

    /// Reads one answer, over as many lines as it has.
    ///
    /// # Panics
    /// When the connection ends or nothing comes.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        loop {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line).unwrap_or_else(|error| panic!("no answer: {error}"));
            assert!(!line.is_empty(), "the server closed the connection instead of answering");
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some((code, text)) = line.split_once(' ')
                && code.len() == 3
                && let Ok(code) = code.parse()
            {
                return Reply { code, text: text.to_owned() };
            }
        }
    }

    /// Asks by EPSV for a port to connect to.
    ///
    /// # Panics
    /// When the answer names none.
    #[track_caller]
    pub fn passive_port(&mut self) -> u16 {
        let passive = self.say("EPSV");
        let port = passive.text.split('|').nth(3).and_then(|port| port.parse().ok());
        port.unwrap_or_else(|| panic!("no port in {passive:?}"))
    }

    /// Begins an upload over a data connection that it makes itself, and sends these bytes.
    ///
    /// # Panics
    /// When the server does not take them.
    #[track_caller]
    pub fn begin_upload(&mut self, path: &str, bytes: &[u8]) -> TcpStream {
        let mut address = self.stream.get_ref().peer_addr().expect("the control connection stands");
        address.set_port(self.passive_port());
        let mut data = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let mark = self.say(&format!("STOR {path}"));
        assert!(matches!(mark.code, 125 | 150), "{mark:?}");
        data.write_all(bytes).unwrap_or_else(|error| panic!("the upload to {path}: {error}"));
        data
    }

    /// Ends a data connection as a client does whose machine or network fails: with a reset.
    pub fn reset(data: TcpStream) {
        // Without time to linger, closing sends RST instead of FIN.
        set_socket_linger(&data, Some(Duration::ZERO)).expect("our own socket takes the option");
    }

    /// What SIZE says of a file; `None` when it is not there.
    ///
    /// # Panics
    /// When the answer is neither 213 nor 550.
    #[track_caller]
    pub fn size(&mut self, path: &str) -> Option<u64> {
        let reply = self.say(&format!("SIZE {path}"));
        match reply.code {
            213 => Some(reply.text.trim().parse().unwrap_or_else(|_| panic!("SIZE {path}: {reply:?}"))),
            550 => None,
            _ => panic!("SIZE {path}: {reply:?}"),
        }
    }
}
