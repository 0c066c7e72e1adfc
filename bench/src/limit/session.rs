//! A session of the do-nothing server.
//!
//! Not inside: anything that a client could be wrong about; what it does not know ends the session.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open, sendfile};
use rustls::ServerConnection;
use rustls::server::UnbufferedServerConnection;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::Shared;
use crate::bulk::{BULK_BYTES, Buffers, Bulk};
use crate::secure::Secure;

/// Files from this size on are corked: full segments are worth two more calls.
const CORK_BYTES: u64 = 64 * 1024;
/// What one call of sendfile may move.
const SENDFILE_BYTES: usize = 0x7fff_f000;

enum Stream {
    Clear(TcpStream),
    Secure(Box<Secure>),
    Nothing,
}

struct Session<'a> {
    shared: &'a Shared,
    stream: Stream,
    ports: RangeInclusive<u16>,
    /// The listener of this session; it stays for all its transfers.
    listener: Option<(Socket, String)>,
    is_secured: bool,
    buffer: Vec<u8>,
    records: Option<Buffers>,
}

pub(super) fn serve(socket: TcpStream, shared: &Shared, ports: RangeInclusive<u16>) {
    let mut session = Session {
        shared,
        stream: Stream::Clear(socket),
        ports,
        listener: None,
        is_secured: false,
        buffer: Vec::new(),
        records: None,
    };
    // The client sees its connection end, which is all that it is told.
    let _ = session.run();
}

impl Session<'_> {
    fn run(&mut self) -> io::Result<()> {
        if let Stream::Clear(socket) = &self.stream {
            socket.set_nodelay(true)?;
        }
        self.reply("220 limit\r\n")?;
        let (mut buffer, mut filled) = ([0; 1024], 0);
        loop {
            let Some(length) = buffer[..filled].iter().position(|&byte| byte == b'\n') else {
                let space = &mut buffer[filled..];
                let count = match &mut self.stream {
                    Stream::Clear(socket) => socket.read(space)?,
                    Stream::Secure(secure) => secure.next(|chunk| {
                        let count = chunk.len().min(space.len());
                        space[..count].copy_from_slice(&chunk[..count]);
                        (count, count)
                    })?,
                    Stream::Nothing => 0,
                };
                if count == 0 {
                    return Ok(());
                }
                filled += count;
                continue;
            };
            let line = String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned();
            buffer.copy_within(length + 1..filled, 0);
            filled -= length + 1;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb {
                "USER" => self.reply("331 password\r\n")?,
                "PASS" => self.reply("230 in\r\n")?,
                "TYPE" | "PBSZ" => self.reply("200 yes\r\n")?,
                "PROT" => {
                    self.is_secured = argument == "P";
                    self.reply("200 yes\r\n")?;
                }
                "AUTH" => self.secure()?,
                "EPSV" => self.passive()?,
                "RETR" => self.retrieve(argument)?,
                "STOR" => self.store(argument)?,
                "QUIT" => return self.reply("221 bye\r\n"),
                _ => return self.reply("500 no\r\n"),
            }
        }
    }

    fn reply(&mut self, text: &str) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(socket) => socket.write_all(text.as_bytes()),
            Stream::Secure(secure) => secure.write_all(text.as_bytes()),
            Stream::Nothing => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn secure(&mut self) -> io::Result<()> {
        self.reply("234 go\r\n")?;
        let connection = ServerConnection::new(Arc::clone(&self.shared.tls)).map_err(io::Error::other)?;
        if let Stream::Clear(socket) = std::mem::replace(&mut self.stream, Stream::Nothing) {
            let secure = Secure::establish(socket, connection.into())?;
            self.stream = Stream::Secure(Box::new(secure));
        }
        Ok(())
    }

    fn passive(&mut self) -> io::Result<()> {
        let reply = match &self.listener {
            Some((_, reply)) => reply.clone(),
            None => {
                let (listener, port) = self.listen()?;
                let reply = format!("229 ok (|||{port}|)\r\n");
                self.listener = Some((listener, reply.clone()));
                reply
            }
        };
        self.reply(&reply)
    }

    /// The first port of the range that nobody listens on.
    fn listen(&mut self) -> io::Result<(Socket, u16)> {
        for port in self.ports.by_ref() {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
            if socket.bind(&address.into()).and_then(|()| socket.listen(4)).is_ok() {
                let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
                return Ok((socket, address.port()));
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn accept(&self) -> io::Result<TcpStream> {
        let (listener, _) = self.listener.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(listener.accept()?.0.into())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shared.root.join(name)
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.buffer.resize(BULK_BYTES, 0);
        &mut self.buffer
    }

    /// What a protected transfer needs.
    fn bulk(&mut self) -> io::Result<(UnbufferedServerConnection, &mut [u8], &mut Buffers)> {
        let end = UnbufferedServerConnection::new(Arc::clone(&self.shared.tls)).map_err(io::Error::other)?;
        self.buffer.resize(BULK_BYTES, 0);
        Ok((end, &mut self.buffer, self.records.get_or_insert_with(Buffers::new)))
    }

    fn retrieve(&mut self, name: &str) -> io::Result<()> {
        let mut file: File = open(self.path(name), OFlags::RDONLY, Mode::empty())?.into();
        self.reply("150 mark\r\n")?;
        let socket = self.accept()?;
        if self.is_secured {
            let (end, buffer, records) = self.bulk()?;
            let mut bulk = Bulk::new(socket, end, records);
            loop {
                let count = file.read(buffer)?;
                if count == 0 {
                    break;
                }
                bulk.send(&buffer[..count])?;
            }
            bulk.finish()?;
            return self.reply("226 end\r\n");
        }
        let bytes = file.metadata()?.len();
        if bytes >= CORK_BYTES {
            SockRef::from(&socket).set_tcp_cork(true)?;
        }
        let mut sent = 0;
        while sent < bytes {
            let count = sendfile(socket.as_fd(), file.as_fd(), None, SENDFILE_BYTES)?;
            if count == 0 {
                break;
            }
            sent += count as u64;
        }
        drop(socket);
        self.reply("226 end\r\n")
    }

    fn store(&mut self, name: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file: File = open(self.path(name), flags, Mode::from_raw_mode(0o644))?.into();
        self.reply("150 mark\r\n")?;
        let mut socket = self.accept()?;
        if self.is_secured {
            let (end, buffer, records) = self.bulk()?;
            let mut filled = 0;
            let mut bulk = Bulk::new(socket, end, records);
            // A record is copied once more, so that there is one write for many.
            while bulk.receive(|record| {
                if filled + record.len() > buffer.len() {
                    file.write_all(&buffer[..filled])?;
                    filled = 0;
                }
                buffer[filled..filled + record.len()].copy_from_slice(record);
                filled += record.len();
                Ok(())
            })? {}
            bulk.finish()?;
            file.write_all(&buffer[..filled])?;
        } else {
            let buffer = self.buffer();
            loop {
                let count = socket.read(buffer)?;
                if count == 0 {
                    break;
                }
                file.write_all(&buffer[..count])?;
            }
            // The peer has ended its direction; there is nothing to tell it.
            let _ = socket.shutdown(Shutdown::Write);
        }
        drop(file);
        self.reply("226 end\r\n")
    }
}
