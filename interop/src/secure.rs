//! A control connection under TLS of our own, on the crate rustls: a client like the others, and the tests' eyes where a
//! server refuses to speak in clear.
//!
//! Not inside: steps and what they mean, which are in `bin/rustls-client.rs`.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::control::Reply;
use crate::tls::{Security, Version};

/// How long an answer may take.
const BOUND: Duration = Duration::from_secs(30);

/// A connection under TLS.
type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A control connection under TLS. Its data connections resume its session where it is asked to.
#[derive(Debug)]
pub struct Secure {
    stream: BufReader<Stream>,
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

/// A data connection under TLS.
#[derive(Debug)]
pub struct SecureData {
    stream: Stream,
}

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// Connections, certificates and TLS.
    Io(String, io::Error),
    /// A reply that refuses.
    Refused(Reply),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(what, error) => write!(f, "{what}: {error}"),
            Error::Refused(reply) => write!(f, "{} {}", reply.code, reply.text),
        }
    }
}

impl std::error::Error for Error {}

/// Says what was done when it failed.
fn during<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &str) -> impl FnOnce(E) -> Error {
    let what = what.to_owned();
    move |error| {
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        match error.downcast::<io::Error>() {
            Ok(error) => Error::Io(what, *error),
            Err(error) => Error::Io(what, io::Error::other(error)),
        }
    }
}

fn configuration(security: &Security) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(&security.authority).map_err(during("the authority"))?;
    roots.add(certificate).map_err(during("the authority"))?;
    let version = match security.version {
        Version::Tls12 => &TLS12,
        Version::Tls13 => &TLS13,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[version]).map_err(during("the version"))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    if !security.resumes {
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

/// Connects; the handshake comes with the first byte.
fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let socket = TcpStream::connect(address).map_err(during(&address.to_string()))?;
    socket.set_read_timeout(Some(BOUND)).map_err(during("a bound"))?;
    socket.set_nodelay(true).map_err(during("TCP_NODELAY"))?;
    Ok(socket)
}

fn protect(config: &Arc<ClientConfig>, address: SocketAddr, mut socket: TcpStream) -> Result<Stream, Error> {
    let name = ServerName::IpAddress(address.ip().into());
    let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(during("TLS"))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(during("the handshake"))?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// Reads one reply, over as many lines as it has.
fn read_reply(reader: &mut impl BufRead) -> Result<Reply, Error> {
    loop {
        let mut line = Vec::new();
        let length = reader.read_until(b'\n', &mut line).map_err(during("an answer"))?;
        if length == 0 {
            return Err(during("an answer")(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some((code, text)) = line.split_once(' ')
            && code.len() == 3
            && let Ok(code) = code.parse()
        {
            return Ok(Reply { code, text: text.to_owned() });
        }
    }
}

impl Secure {
    /// Connects, under TLS from the first byte or by AUTH TLS, protects data connections and logs in.
    ///
    /// # Errors
    /// When that fails or is refused.
    pub fn login(
        address: SocketAddr,
        security: &Security,
        user: &str,
        password: &str,
    ) -> Result<Secure, Error> {
        let config = Arc::new(configuration(security)?);
        let mut socket = connect(address)?;
        if !security.is_implicit {
            // The server says nothing behind these answers, so nothing is lost with the reader.
            let mut reader = BufReader::new(socket.try_clone().map_err(during("the socket"))?);
            expect(read_reply(&mut reader)?, 220)?;
            socket.write_all(b"AUTH TLS\r\n").map_err(during("AUTH"))?;
            expect(read_reply(&mut reader)?, 234)?;
        }
        let stream = protect(&config, address, socket)?;
        let mut control = Secure { stream: BufReader::new(stream), config, address };
        if security.is_implicit {
            expect(control.reply()?, 220)?;
        }
        for (command, code) in
            [(format!("USER {user}"), 331), (format!("PASS {password}"), 230), ("PBSZ 0".to_owned(), 200)]
        {
            expect(control.say(&command)?, code)?;
        }
        for command in ["PROT P", "TYPE I"] {
            expect(control.say(command)?, 200)?;
        }
        Ok(control)
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    /// When the connection ends or nothing comes. A refusal is none.
    pub fn say(&mut self, command: &str) -> Result<Reply, Error> {
        self.send(command)?;
        self.reply()
    }

    /// Sends a command and reads nothing.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self, command: &str) -> Result<(), Error> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{command}\r\n").as_bytes()).map_err(during(command))?;
        stream.flush().map_err(during(command))
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// When the connection ends or nothing comes.
    pub fn reply(&mut self) -> Result<Reply, Error> {
        read_reply(&mut self.stream)
    }

    /// Reads the reply that ends a transfer.
    ///
    /// # Errors
    /// When it is not 226, or nothing comes.
    pub fn completion(&mut self) -> Result<(), Error> {
        expect(self.reply()?, 226)
    }

    /// Arranges a data connection by EPSV, sends a command, reads its mark and shakes hands.
    ///
    /// # Errors
    /// When the command is refused, before its mark or behind it; what the server says of a failed handshake goes before
    /// what the handshake says.
    pub fn begin(&mut self, command: &str) -> Result<SecureData, Error> {
        let passive = self.say("EPSV")?;
        let port = passive.text.split('|').nth(3).and_then(|port| port.parse().ok());
        let Some(port) = port else { return Err(Error::Refused(passive)) };
        let address = SocketAddr::new(self.address.ip(), port);
        let socket = connect(address)?;
        let mark = self.say(command)?;
        if !matches!(mark.code, 125 | 150) {
            return Err(Error::Refused(mark));
        }
        match protect(&self.config, address, socket) {
            Ok(stream) => Ok(SecureData { stream }),
            Err(error) => Err(self.reply().map_or(error, Error::Refused)),
        }
    }

    /// What SIZE says of a file; `None` when it is not there.
    ///
    /// # Errors
    /// When the answer is neither 213 nor 550.
    pub fn size(&mut self, path: &str) -> Result<Option<u64>, Error> {
        let reply = self.say(&format!("SIZE {path}"))?;
        match (reply.code, reply.text.trim().parse()) {
            (213, Ok(size)) => Ok(Some(size)),
            (550, _) => Ok(None),
            _ => Err(Error::Refused(reply)),
        }
    }
}

impl SecureData {
    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection does not take them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes).map_err(during("the data connection"))
    }

    /// Ends an upload in order, and reads to the end what the server sends: a socket that is closed with unread bytes
    /// in it resets the connection, and what was on the way is lost.
    ///
    /// # Errors
    /// When the server does not end it in order.
    pub fn finish(mut self) -> Result<(), Error> {
        self.stream.conn.send_close_notify();
        self.stream.flush().map_err(during("the end of the upload"))?;
        self.stream.sock.shutdown(Shutdown::Write).map_err(during("the end of the upload"))?;
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).map_err(during("the server's end of the upload"))?;
        if rest.is_empty() { Ok(()) } else { Err(during("an upload")(io::Error::other("bytes came back"))) }
    }

    /// Reads up to this many bytes.
    ///
    /// # Errors
    /// When the connection ends otherwise than by close_notify.
    pub fn read(&mut self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(limit_bytes).read_to_end(&mut bytes);
        read.map_err(during("the data connection")).map(|_| bytes)
    }

    /// Whether the session of the control connection was resumed.
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The socket below, without another word of TLS.
    pub fn into_socket(self) -> TcpStream {
        self.stream.into_parts().1
    }
}

fn expect(reply: Reply, code: u16) -> Result<(), Error> {
    if reply.code == code { Ok(()) } else { Err(Error::Refused(reply)) }
}
