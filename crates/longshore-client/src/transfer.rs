//! One transfer: the bytes between a place of ours and a data connection, in the form that the job says.
//!
//! Not inside: how a form looks on the wire, which [`longshore_proto::transmission`] knows, and what the server says.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::task::Poll;
use std::time::Duration;

use longshore_proto::client::{End, Protection, TransferJob};
use longshore_proto::transmission::{Form, Receiver, Sender, Step};
use longshore_tls::ClientSession;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits::{DATA_WRITE_BYTES, SOURCE_FIRST_READ_BYTES};
use crate::link::Link;
use crate::place::{Place, Sink, Source};

/// What a job has of data connections when it begins.
pub(crate) enum Ground {
    Standing(Link),
    /// The server connects from this address.
    Listening(TcpListener, IpAddr),
}

/// What came of a job.
pub(crate) struct Done {
    /// The connection, where another transfer may follow or its end is to come in order.
    pub(crate) link: Option<Link>,
    pub(crate) place: Place,
    pub(crate) bytes: u64,
    pub(crate) end: End,
}

type Result<T> = std::result::Result<T, End>;

/// Moves the bytes, until they have moved or `cancel` says no.
pub(crate) async fn run(
    job: TransferJob,
    ground: Ground,
    mut place: Place,
    tls: Option<ClientSession>,
    mut cancel: oneshot::Receiver<()>,
) -> Done {
    let mut bytes = 0;
    let stood = tokio::select! {
        biased;
        _ = &mut cancel => Err(End::Cancelled),
        stood = stand(&job, ground, tls.as_ref()) => stood,
    };
    let mut link = match stood {
        Ok(link) => link,
        Err(end) => return Done { link: None, place, bytes, end },
    };
    let moved = tokio::select! {
        biased;
        _ = &mut cancel => Err(End::Cancelled),
        moved = move_bytes(&job, &mut link, &mut place, &mut bytes) => moved,
    };
    match moved {
        Ok(()) => Done { link: Some(link), place, bytes, end: End::Complete },
        Err(end) => {
            link.reset();
            Done { link: None, place, bytes, end }
        }
    }
}

/// The connection with the protection that the job wants.
async fn stand(job: &TransferJob, ground: Ground, tls: Option<&ClientSession>) -> Result<Link> {
    let link = match ground {
        Ground::Standing(link) => link,
        Ground::Listening(listener, server) => {
            let socket = within(job.stall_timeout, accept(&listener, server)).await?;
            Link::new(socket.map_err(|error| End::Local(error.to_string()))?)
        }
    };
    if job.protection == Protection::Clear || link.is_protected() {
        return Ok(link);
    }
    let tls = tls.ok_or_else(|| End::Tls("no TLS was set up".to_owned()))?;
    let link = within(job.stall_timeout, link.protect(tls)).await?;
    link.map_err(|error| End::Tls(error.to_string()))
}

/// Takes the first connection that comes from the server; strangers are closed.
async fn accept(listener: &TcpListener, server: IpAddr) -> io::Result<tokio::net::TcpStream> {
    loop {
        let (socket, from) = listener.accept().await?;
        if from.ip().to_canonical() == server {
            socket.set_nodelay(true)?;
            return Ok(socket);
        }
    }
}

async fn within<T>(stall_timeout: Duration, wait: impl Future<Output = T>) -> Result<T> {
    timeout(stall_timeout, wait).await.map_err(|_| End::Stalled)
}

async fn move_bytes(job: &TransferJob, link: &mut Link, place: &mut Place, bytes: &mut u64) -> Result<()> {
    let form = Form { representation: job.representation, structure: job.structure, mode: job.mode };
    match place {
        Place::Sink(sink) => {
            receive(job, form, link, sink.as_mut(), bytes).await?;
            if !job.keeps_connection {
                // Some servers wait for our end before they say that theirs is well. Whoever is gone has not.
                let _ = within(job.stall_timeout, link.finish()).await;
            }
            Ok(())
        }
        Place::Source(source) => send(job, form, link, source.as_mut(), bytes).await,
    }
}

async fn receive(
    job: &TransferJob,
    form: Form,
    link: &mut Link,
    sink: &mut dyn Sink,
    bytes: &mut u64,
) -> Result<()> {
    local(sink.start(job.offset).await)?;
    let mut receiver = Receiver::new(form, job.offset);
    let mut decoded = Vec::new();
    loop {
        if form.is_identity() {
            let count = link.unread().len();
            if count > 0 {
                local(sink.write(link.unread()).await)?;
                *bytes += count as u64;
                link.take(count);
            }
        } else {
            loop {
                let received = receiver.receive(link.unread(), &mut decoded);
                deliver(sink, &mut decoded, bytes).await?;
                let received = received.map_err(End::Malformed)?;
                link.take(received.taken_bytes);
                match received.step {
                    Step::More => break,
                    Step::End => return Ok(()),
                    // Where a transfer could begin again; whoever needs that goes by the octets that have come.
                    Step::Full | Step::Marker(_) => {}
                }
            }
        }
        if within(job.stall_timeout, link.fill()).await?.map_err(broken)? > 0 {
            continue;
        }
        if form.is_identity() {
            return Ok(());
        }
        let finished = receiver.finish(&mut decoded);
        deliver(sink, &mut decoded, bytes).await?;
        return finished.map(|_| ()).map_err(End::Malformed);
    }
}

/// Gives the sink what was decoded.
async fn deliver(sink: &mut dyn Sink, decoded: &mut Vec<u8>, bytes: &mut u64) -> Result<()> {
    if !decoded.is_empty() {
        local(sink.write(decoded).await)?;
        *bytes += decoded.len() as u64;
        decoded.clear();
    }
    Ok(())
}

async fn send(
    job: &TransferJob,
    form: Form,
    link: &mut Link,
    source: &mut dyn Source,
    bytes: &mut u64,
) -> Result<()> {
    local(source.start(job.offset).await)?;
    let mut sender = Sender::new(form, job.offset);
    let mut octets = Vec::with_capacity(SOURCE_FIRST_READ_BYTES);
    let mut wire = Wire::default();
    loop {
        octets.clear();
        {
            let mut read = source.read(&mut octets);
            // What is ready does not wait for a source that takes its time.
            let at_once = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
            local(match at_once {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    wire.write(job, link, bytes).await?;
                    read.await
                }
            })?;
        }
        if octets.is_empty() {
            break;
        }
        sender.send(&octets, &mut wire.ready);
        wire.octets += octets.len() as u64;
        if wire.ready.len() >= DATA_WRITE_BYTES {
            wire.write(job, link, bytes).await?;
        }
        if octets.len() == octets.capacity() {
            octets.clear();
            octets.reserve_exact(DATA_WRITE_BYTES);
        }
    }
    // The last octets and the end of the file in one call.
    sender.finish(&mut wire.ready);
    wire.write(job, link, bytes).await?;
    within(job.stall_timeout, link.flush()).await?.map_err(broken)?;
    if !job.keeps_connection {
        within(job.stall_timeout, link.finish()).await?.map_err(broken)?;
    }
    Ok(())
}

/// What is ready to be written, and how many octets of the file are in it.
#[derive(Default)]
struct Wire {
    ready: Vec<u8>,
    octets: u64,
}

impl Wire {
    /// Writes all of it. Of what was cut within, as many octets count as bytes were written: headers and markers among
    /// them make that a few too many, never none.
    async fn write(&mut self, job: &TransferJob, link: &mut Link, bytes: &mut u64) -> Result<()> {
        let before = *bytes;
        let mut rest = self.ready.as_slice();
        while !rest.is_empty() {
            let count = within(job.stall_timeout, link.write(rest)).await?.map_err(broken)?;
            rest = &rest[count..];
            let written = (self.ready.len() - rest.len()) as u64;
            *bytes = before + written.min(self.octets);
        }
        *bytes = before + self.octets;
        self.ready.clear();
        self.octets = 0;
        Ok(())
    }
}

fn local<T>(result: io::Result<T>) -> Result<T> {
    result.map_err(|error| End::Local(error.to_string()))
}

/// Why a data connection is of no use any more.
fn broken(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            End::Tls("the server ended it without close_notify, so what came may be cut".to_owned())
        }
        io::ErrorKind::InvalidData => End::Tls(error.to_string()),
        _ => End::Reset,
    }
}
