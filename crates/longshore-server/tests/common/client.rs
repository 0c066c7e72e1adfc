//! A small client that says exactly what it is told to, waits for nothing it is not told to wait for, and fails a
//! test in which the server says nothing.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};

use longshore_server::reply::Situation;
use rustls::ClientConfig;
use socket2::{Domain, SockRef, Socket, Type};

use super::wire::Wire;
use super::{HERE, HERE_V6, PATIENCE};

/// A control connection.
pub(crate) struct Client {
    stream: Wire,
    /// Read and not yet looked at.
    unread: Vec<u8>,
    /// By what its data connections are protected, if they are.
    pub(crate) data_tls: Option<ClientConfig>,
}

/// An answer as it was received, without Telnet's doubling of 0xFF undone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// The text of the first line.
    pub(crate) text: Vec<u8>,
    /// The lines between the first and the last.
    pub(crate) lines: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// Whether it is this situation: its code, and its text whatever the figures are.
    pub(crate) fn is(&self, situation: Situation) -> bool {
        let text = self.text();
        let mut rest = text.as_str();
        let mut pieces = situation.text().split('{').enumerate();
        self.code == situation.code()
            && pieces.all(|(number, piece)| {
                let literal =
                    if number == 0 { piece } else { piece.split_once('}').map_or(piece, |(_, end)| end) };
                let Some(at) = rest.find(literal).filter(|&at| number > 0 || at == 0) else { return false };
                rest = &rest[at + literal.len()..];
                true
            })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text())?;
        self.lines().iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What a test expects to be told.
pub(crate) trait Expected: fmt::Debug {
    fn fits(&self, reply: &Reply) -> bool;
}

impl Expected for u16 {
    fn fits(&self, reply: &Reply) -> bool {
        reply.code == *self
    }
}

impl Expected for Situation {
    fn fits(&self, reply: &Reply) -> bool {
        reply.is(*self)
    }
}

/// Connects from `source` (any address of this machine, or the unspecified one) with buffers of about this
/// size.
pub(crate) fn connect_from(
    source: IpAddr,
    to: SocketAddr,
    buffer_bytes: Option<usize>,
) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if let Some(bytes) = buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
        socket.set_send_buffer_size(bytes)?;
    }
    // Asked for by itself, a port is one that no connection at all has had lately, and those are few; here the kernel
    // takes this address anyway.
    let by_itself = source == to.ip() && [HERE, HERE_V6].contains(&source);
    if !source.is_unspecified() && !by_itself {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

impl Client {
    /// Connects, without waiting for the greeting.
    #[track_caller]
    pub(crate) fn connect(to: SocketAddr) -> Client {
        Client::connect_from(to.ip(), to)
    }

    #[track_caller]
    pub(crate) fn connect_from(source: IpAddr, to: SocketAddr) -> Client {
        Client::of(connect_from(source, to, None).expect("the server listens"))
    }

    /// One with buffers of about this size.
    #[track_caller]
    pub(crate) fn connect_small(to: SocketAddr, buffer_bytes: usize) -> Client {
        Client::of(connect_from(to.ip(), to, Some(buffer_bytes)).expect("the server listens"))
    }

    fn of(stream: TcpStream) -> Client {
        Client { stream: Wire::clear(stream), unread: Vec::new(), data_tls: None }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream.socket
    }

    /// The connection with its TLS, for a test that does something else with it.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        &mut self.stream
    }

    /// The connection alone, as it stands.
    pub(crate) fn into_wire(self) -> Wire {
        self.stream
    }

    /// Begins TLS with the next byte, as clients do at once on an implicit port.
    #[track_caller]
    pub(crate) fn begin_tls(&mut self, config: &ClientConfig) {
        assert!(self.unread.is_empty(), "something was said in clear that nobody expected");
        self.stream.protect(config);
        self.stream.handshake().expect("both sides agree");
    }

    /// Begins TLS by AUTH.
    #[track_caller]
    pub(crate) fn secure(&mut self, config: &ClientConfig) {
        self.command("AUTH TLS", Situation::TlsBegins);
        self.begin_tls(config);
    }

    /// Has data connections protected from now on, each of which resumes a session that `config` knows.
    #[track_caller]
    pub(crate) fn protect_data(&mut self, config: &ClientConfig) {
        self.command("PBSZ 0", Situation::BufferSizeSet);
        self.command("PROT P", Situation::ProtPrivate);
        self.data_tls = Some(config.clone());
    }

    /// Goes on in clear, without close_notify or with it.
    pub(crate) fn leave_tls(&mut self, close_notify: bool) {
        self.stream.leave(close_notify);
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream().local_addr().expect("it is connected")
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.stream().peer_addr().expect("it is connected")
    }

    /// Sends a line and its end.
    #[track_caller]
    pub(crate) fn send(&mut self, line: impl AsRef<[u8]>) {
        self.send_raw([line.as_ref(), b"\r\n"].concat());
    }

    #[track_caller]
    pub(crate) fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
        self.stream.flush().expect("the server reads");
    }

    /// Sends bytes of which the last is marked as urgent.
    #[track_caller]
    pub(crate) fn send_urgent(&mut self, bytes: &[u8]) {
        let sent = SockRef::from(self.stream()).send_out_of_band(bytes).expect("the server reads");
        assert_eq!(sent, bytes.len(), "a few bytes fit");
    }

    /// Telnet IP and Synch, then ABOR, as RFC 959 section 4.1.3 wants it.
    #[track_caller]
    pub(crate) fn send_abort_urgently(&mut self) {
        self.send_urgent(b"\xFF\xF4\xFF");
        self.send_raw(b"\xF2ABOR\r\n");
    }

    /// The next answer; `None` at the end of the connection.
    #[track_caller]
    pub(crate) fn reply_or_end(&mut self) -> Option<Reply> {
        let first = self.line()?;
        let code: u16 = std::str::from_utf8(&first[..3.min(first.len())])
            .ok()
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no reply: {}", String::from_utf8_lossy(&first)));
        let mut reply = Reply { code, text: first[4..].to_vec(), lines: Vec::new() };
        if first[3] == b'-' {
            let last = format!("{code} ");
            loop {
                let line = self.line().expect("the reply goes on");
                if line.starts_with(last.as_bytes()) {
                    break;
                }
                assert_eq!(line[0], b' ', "no inner line can look like the last");
                reply.lines.push(line[1..].to_vec());
            }
        }
        Some(reply)
    }

    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_or_end().expect("the server has closed the control connection")
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, expected: impl Expected) -> Reply {
        let reply = self.reply();
        assert!(expected.fits(&reply), "{reply:?}\ninstead of {expected:?}");
        reply
    }

    #[track_caller]
    pub(crate) fn command(&mut self, line: impl AsRef<[u8]>, expected: impl Expected) -> Reply {
        self.send(&line);
        let reply = self.reply();
        let line = String::from_utf8_lossy(line.as_ref()).into_owned();
        assert!(expected.fits(&reply), "{line}: {reply:?}\ninstead of {expected:?}");
        reply
    }

    /// That nothing has been said yet.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.stream().set_nonblocking(true).expect("a socket of ours");
        let heard = self.stream().peek(&mut [0; 1]);
        self.stream().set_nonblocking(false).expect("a socket of ours");
        assert!(self.unread.is_empty() && heard.is_err(), "something was said: {heard:?}");
    }

    /// That the server closes now, with or without a reset, and says nothing more.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        if let Some(reply) = self.reply_or_end() {
            panic!("{reply:?}\ninstead of the end");
        }
    }

    #[track_caller]
    pub(crate) fn log_in(&mut self, user: &str, password: &str) {
        self.command(format!("USER {user}"), 331);
        self.command(format!("PASS {password}"), 230);
    }

    #[track_caller]
    pub(crate) fn quit(mut self) {
        self.command("QUIT", 221);
        self.expect_end();
    }

    /// Sends PASV, or EPSV over IPv6; where to connect to.
    #[track_caller]
    pub(crate) fn passive(&mut self) -> SocketAddr {
        if self.server().is_ipv6() { self.extended_passive() } else { self.old_passive() }
    }

    #[track_caller]
    pub(crate) fn old_passive(&mut self) -> SocketAddr {
        let text = self.command("PASV", Situation::Passive).text();
        let numbers: Vec<u8> = text
            .split(|character: char| !character.is_ascii_digit())
            .filter(|number| !number.is_empty())
            .map(|number| number.parse().expect("six numbers up to 255"))
            .collect();
        let [a, b, c, d, high, low] = numbers[..] else { panic!("{text}: six numbers") };
        SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))
    }

    #[track_caller]
    pub(crate) fn extended_passive(&mut self) -> SocketAddr {
        let text = self.command("EPSV", Situation::ExtendedPassive).text();
        let port = text.split("(|||").nth(1).and_then(|rest| rest.strip_suffix("|)")).expect("(|||port|)");
        SocketAddr::new(self.server().ip(), port.parse().expect("a port"))
    }

    /// Arranges for a data connection and makes it.
    #[track_caller]
    pub(crate) fn data(&mut self) -> Data {
        let to = self.passive();
        Data::connect(to).protected(self.data_tls.as_ref())
    }

    /// Fetches something whole over a connection that stands.
    #[track_caller]
    pub(crate) fn fetch(&mut self, line: impl AsRef<[u8]>) -> Vec<u8> {
        let mut data = self.data();
        self.command(line, 125);
        let octets = data.read_all();
        self.expect(Situation::Sent);
        octets
    }

    /// Sends something whole over a connection that stands.
    #[track_caller]
    pub(crate) fn store(&mut self, line: impl AsRef<[u8]>, octets: &[u8]) -> Reply {
        let mut data = self.data();
        self.command(line, 125);
        data.write(octets);
        data.finish();
        self.expect(Situation::Stored)
    }

    /// The names that NLST tells, sorted.
    #[track_caller]
    pub(crate) fn names(&mut self, line: impl AsRef<[u8]>) -> Vec<String> {
        let listing = self.fetch(line);
        let mut names: Vec<String> =
            String::from_utf8_lossy(&listing).split_terminator("\r\n").map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Asks STAT until the running transfer has moved at least so many bytes.
    #[track_caller]
    pub(crate) fn wait_until_moved(&mut self, bytes: u64) {
        let limit = std::time::Instant::now() + PATIENCE;
        loop {
            let moved = self.moved();
            if moved >= bytes {
                return;
            }
            assert!(std::time::Instant::now() < limit, "only {moved} bytes moved");
        }
    }

    /// The bytes that the running transfer has moved, as STAT says.
    #[track_caller]
    pub(crate) fn moved(&mut self) -> u64 {
        let lines = self.command("STAT", Situation::Status).lines();
        let line = lines.last().expect("STAT tells of the transfer");
        let words = line.strip_suffix(" bytes moved so far").expect("a transfer runs");
        words.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number of bytes")
    }

    /// Ends our direction only.
    pub(crate) fn end_output(&self) {
        self.stream().shutdown(Shutdown::Write).expect("it is connected");
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        self.stream.reset();
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                assert_eq!(line.pop(), Some(b'\r'), "every line ends in CR LF");
                return Some(line);
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.unread.is_empty(), "the last line is cut");
                    return None;
                }
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset && self.unread.is_empty() => {
                    return None;
                }
                Err(error) => panic!("the server says nothing: {error}"),
            }
        }
    }
}

/// A data connection.
pub(crate) struct Data {
    stream: Wire,
}

impl Data {
    #[track_caller]
    pub(crate) fn connect(to: SocketAddr) -> Data {
        Data::connect_from(to.ip(), to)
    }

    #[track_caller]
    pub(crate) fn connect_from(source: IpAddr, to: SocketAddr) -> Data {
        Data::of(connect_from(source, to, None).expect("the passive port listens"))
    }

    /// To a port that may be gone already.
    pub(crate) fn try_connect(to: SocketAddr) -> Option<Data> {
        connect_from(to.ip(), to, None).ok().map(Data::of)
    }

    /// One with buffers of about this size.
    #[track_caller]
    pub(crate) fn connect_small(to: SocketAddr, buffer_bytes: usize) -> Data {
        Data::of(connect_from(to.ip(), to, Some(buffer_bytes)).expect("the passive port listens"))
    }

    /// Waits for the server at `listener`.
    #[track_caller]
    pub(crate) fn accept(listener: &TcpListener) -> Data {
        let socket = SockRef::from(listener);
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
        let (stream, _) = listener.accept().expect("the server connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket of ours");
        Data::of(stream)
    }

    fn of(stream: TcpStream) -> Data {
        Data { stream: Wire::clear(stream) }
    }

    /// With TLS, if so, whose handshake comes with the first byte in either direction.
    #[must_use]
    pub(crate) fn protected(mut self, config: Option<&ClientConfig>) -> Data {
        if let Some(config) = config {
            self.stream.protect(config);
        }
        self
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.stream().peer_addr().expect("it is connected")
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream.socket
    }

    /// The connection with its TLS, for a test that does something else with it.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        &mut self.stream
    }

    /// Everything to the end, which must be in order.
    #[track_caller]
    pub(crate) fn read_all(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        self.stream.read_to_end(&mut octets).expect("the server sends all and ends in order");
        self.stream.expect_fin();
        octets
    }

    #[track_caller]
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).expect("the server sends");
        octets
    }

    #[track_caller]
    pub(crate) fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).expect("the server receives");
        self.stream.flush().expect("the server receives");
    }

    /// Writes until the server breaks the connection.
    #[track_caller]
    pub(crate) fn write_until_cut(&mut self) {
        let octets = vec![b'x'; 64 * 1024];
        loop {
            match self.stream.write(&octets) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the server does nothing"),
                Err(_) => return,
            }
        }
    }

    /// Reads until the end, whichever it is.
    pub(crate) fn read_until_cut(&mut self) {
        let mut octets = vec![0; 64 * 1024];
        while let Ok(1..) = self.stream.read(&mut octets) {}
    }

    /// Ends our direction only, without a word of TLS.
    pub(crate) fn end_output(&self) {
        self.stream().shutdown(Shutdown::Write).expect("it is connected");
    }

    /// Ends the connection in order: where it is protected by close_notify, and when the server has ended it, too.
    pub(crate) fn finish(mut self) {
        if self.stream.is_protected() {
            self.stream.close_notify().expect("the server listens");
            self.read_until_cut();
        }
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        self.stream.reset();
    }

    /// That the server ends the connection without sending a byte more.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => {}
            Ok(_) => panic!("a byte instead of the end"),
            // Inside TLS an end without close_notify says that it is none in order.
            Err(error) => assert!(
                [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof].contains(&error.kind()),
                "the server leaves it open: {error}"
            ),
        }
    }

    /// That the server breaks the connection, so that no part can be taken for the whole.
    #[track_caller]
    pub(crate) fn expect_reset(&mut self) {
        let mut octets = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut octets) {
                Ok(0) => panic!("an orderly end instead of a reset"),
                Ok(_) => {}
                Err(error) => return assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
    }
}
