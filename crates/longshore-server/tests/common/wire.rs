//! A client's end of a connection, in clear or protected by TLS, which does only what it is told to.
//!
//! Not inside: what is said over it ([`client`](super::client)), and by which sessions and certificates it is protected
//! ([`tls`](super::tls)).

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};
use socket2::SockRef;

use super::tls::NAME;

/// One end of a connection.
pub(crate) struct Wire {
    pub(crate) socket: TcpStream,
    pub(crate) tls: Option<Box<ClientConnection>>,
}

impl Wire {
    pub(crate) fn clear(socket: TcpStream) -> Wire {
        Wire { socket, tls: None }
    }

    /// From the next byte on by TLS, under the name that the server's certificate is for.
    pub(crate) fn protect(&mut self, config: &ClientConfig) {
        self.protect_as(config, NAME);
    }

    pub(crate) fn protect_as(&mut self, config: &ClientConfig, name: &str) {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(config.clone()), name).expect("a configuration");
        self.tls = Some(Box::new(connection));
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.tls.is_some()
    }

    /// Does what is left of the handshake.
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        // What the client says last of it.
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Does what is left of the handshake, and says that nothing more will be said.
    pub(crate) fn close_notify(&mut self) -> io::Result<()> {
        self.handshake()?;
        let Some(tls) = &mut self.tls else { return Ok(()) };
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Goes on in clear, when what the server says inside TLS has come to its end.
    #[track_caller]
    pub(crate) fn leave(&mut self, close_notify: bool) {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).expect("the server leaves by close_notify");
        assert_eq!(rest, b"", "nothing is said behind the answer");
        if close_notify {
            self.close_notify().expect("the server listens");
        }
        self.tls = None;
    }

    /// That nothing comes behind close_notify but the end of the connection.
    #[track_caller]
    pub(crate) fn expect_fin(&mut self) {
        let mut rest = Vec::new();
        self.socket.read_to_end(&mut rest).expect("an end in order");
        assert_eq!(rest, b"", "octets behind the end of TLS");
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).expect("a socket of ours");
    }

    /// What TLS would send now, without sending it.
    pub(crate) fn take_unsent(&mut self) -> Vec<u8> {
        let mut unsent = Vec::new();
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut unsent).expect("a buffer takes everything");
            }
        }
        unsent
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(&mut **tls, &mut self.socket).read(buffer),
            None => self.socket.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(&mut **tls, &mut self.socket).write(bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => Stream::new(&mut **tls, &mut self.socket).flush(),
            None => Ok(()),
        }
    }
}

/// Whether a connection has ended by a reset, and not in order.
pub(crate) fn is_reset(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionReset
}
