//! TLS of data connections: records are decrypted where they came to lie, and encrypted where they are sent from, with
//! large calls and memory that is used again for the next connection. Both ends of the comparison use it, the generator
//! as client and the do-nothing server as server.
//!
//! Not inside: control connections, which are [`crate::secure`].

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

/// What is read or sent by one call, in bytes.
pub(crate) const BULK_BYTES: usize = 256 * 1024;
/// What records are longer than what they carry, for so many bytes; generously.
const RECORDS_BYTES: usize = BULK_BYTES / 16 + 1024;

/// A client or a server.
pub(crate) trait End {
    type Data;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl End for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl End for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

/// Memory for one connection after the other.
#[derive(Debug)]
pub(crate) struct Buffers {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Buffers {
    pub(crate) fn new() -> Buffers {
        Buffers { incoming: vec![0; BULK_BYTES], outgoing: vec![0; BULK_BYTES + RECORDS_BYTES] }
    }
}

/// A protected data connection.
pub(crate) struct Bulk<'a, E> {
    socket: TcpStream,
    end: E,
    buffers: &'a mut Buffers,
    /// What came and is not used up lies in `incoming[start..filled]`.
    start: usize,
    filled: usize,
    /// What is to be sent lies in `outgoing[..encoded]`.
    encoded: usize,
}

/// What is to be done next.
enum Step<'a> {
    Send(&'a [u8]),
    Close,
    /// Until a record came.
    Receive(&'a mut dyn FnMut(&[u8]) -> io::Result<()>),
}

impl<'a, E: End> Bulk<'a, E> {
    /// Takes the socket. Hands are shaken by whatever is done first: with a client's last word of it may come its data.
    pub(crate) fn new(socket: TcpStream, end: E, buffers: &'a mut Buffers) -> Bulk<'a, E> {
        Bulk { socket, end, buffers, start: 0, filled: 0, encoded: 0 }
    }

    /// Gives what comes next to `take`. `false` at the end, also where no close_notify says it: whether all came is seen
    /// by its length.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool> {
        self.step(Step::Receive(&mut take))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(BULK_BYTES).try_for_each(|bytes| self.step(Step::Send(bytes)).map(|_| ()))
    }

    /// Sends close_notify and ends our direction.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.step(Step::Close)?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Reads to the end, so that tickets are learned and the peer's end meets no reset.
    pub(crate) fn drain(&mut self) {
        while matches!(self.receive(|_| Ok(())), Ok(true)) {}
    }

    /// Whether it could be done; `false` when the peer has ended its direction before.
    fn step(&mut self, mut step: Step<'_>) -> io::Result<bool> {
        let Bulk { socket, end, buffers, start, filled, encoded } = self;
        let Buffers { incoming, outgoing } = &mut **buffers;
        loop {
            let UnbufferedStatus { mut discard, state } = end.process(&mut incoming[*start..*filled]);
            let (mut reads, mut is_done) = (false, None);
            match state.map_err(io::Error::other)? {
                ConnectionState::EncodeTlsData(mut state) => {
                    *encoded += state.encode(&mut outgoing[*encoded..]).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(state) => {
                    socket.write_all(&outgoing[..*encoded])?;
                    *encoded = 0;
                    state.done();
                }
                ConnectionState::ReadTraffic(mut state) => {
                    while let Some(record) = state.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        if let Step::Receive(take) = &mut step {
                            take(record.payload)?;
                            is_done = Some(true);
                        }
                    }
                }
                ConnectionState::WriteTraffic(mut state) => match step {
                    Step::Send(bytes) => {
                        let count = state.encrypt(bytes, outgoing).map_err(io::Error::other)?;
                        socket.write_all(&outgoing[..count])?;
                        is_done = Some(true);
                    }
                    Step::Close => {
                        let count = state.queue_close_notify(outgoing).map_err(io::Error::other)?;
                        socket.write_all(&outgoing[..count])?;
                        is_done = Some(true);
                    }
                    Step::Receive(_) => reads = true,
                },
                ConnectionState::BlockedHandshake => reads = true,
                // Told once; we may still send.
                ConnectionState::PeerClosed if !matches!(step, Step::Receive(_)) => {}
                ConnectionState::PeerClosed | ConnectionState::Closed => is_done = Some(false),
                state => return Err(io::Error::other(format!("TLS came to {state:?}"))),
            }
            *start += discard;
            if let Some(is_done) = is_done {
                return Ok(is_done);
            }
            if reads {
                incoming.copy_within(*start..*filled, 0);
                (*start, *filled) = (0, *filled - *start);
                let count = match socket.read(&mut incoming[*filled..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read?,
                };
                if count == 0 {
                    return Ok(false);
                }
                *filled += count;
            }
        }
    }
}
