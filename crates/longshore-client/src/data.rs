//! Data connections as a dialogue names them: connecting, listening, standing, in use, and the job that runs.
//!
//! Not inside: when any of it happens, which the dialogue decides, and the bytes ([`transfer`](crate::transfer)).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use longshore_proto::client::{ConnectFailure, DataEvent, End, OperationId, RequestId, TransferJob};
use longshore_tls::ClientSession;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::link::Link;
use crate::place::Place;
use crate::transfer::{self, Done, Ground};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The data connections of one control connection.
pub(crate) struct DataConnections {
    /// The server's address, for connections that it makes.
    server: IpAddr,
    slots: Vec<(OperationId, Slot)>,
    job: Option<Job>,
    /// What has happened and was not handed on.
    events: VecDeque<DataNews>,
}

/// What happened to a data connection.
pub(crate) struct DataNews {
    pub(crate) id: OperationId,
    pub(crate) event: DataEvent,
    /// What a job had for this request.
    pub(crate) place: Option<(RequestId, Place)>,
}

/// One data connection.
enum Slot {
    Connecting(Boxed<io::Result<TcpStream>>),
    Listening(TcpListener),
    Standing(Link),
    /// It has carried a transfer whose end is that of the connection.
    Spent(Link),
    /// The job that runs has it.
    Busy,
}

struct Job {
    id: OperationId,
    connection: OperationId,
    request: RequestId,
    keeps_connection: bool,
    future: Boxed<Done>,
    cancel: Option<oneshot::Sender<()>>,
    /// What becomes of the connection behind it.
    after: After,
}

#[derive(Clone, Copy)]
enum After {
    Keep,
    Close,
    Reset,
}

impl DataConnections {
    pub(crate) fn new(server: IpAddr) -> DataConnections {
        DataConnections { server, slots: Vec::new(), job: None, events: VecDeque::new() }
    }

    pub(crate) fn connect(&mut self, id: OperationId, address: SocketAddr) {
        let connect = async move {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        self.slots.push((id, Slot::Connecting(Box::pin(connect))));
    }

    pub(crate) async fn listen(&mut self, id: OperationId, address: IpAddr) {
        let event = match TcpListener::bind((address, 0)).await.and_then(|listener| {
            let bound = listener.local_addr()?;
            self.slots.push((id, Slot::Listening(listener)));
            Ok(bound)
        }) {
            Ok(bound) => DataEvent::Listening(bound),
            Err(error) => DataEvent::Failed(ConnectFailure::Other(error.to_string())),
        };
        self.push(id, event);
    }

    /// Begins a job; its connection stands, or is listened for.
    pub(crate) fn begin(
        &mut self,
        id: OperationId,
        job: TransferJob,
        place: Place,
        tls: Option<ClientSession>,
    ) {
        let (connection, request) = (job.connection, job.request);
        let slot = self.slots.iter_mut().find(|(id, _)| *id == connection).map(|(_, slot)| slot);
        let ground = match slot.map(|slot| std::mem::replace(slot, Slot::Busy)) {
            Some(Slot::Standing(link)) => Ground::Standing(link),
            Some(Slot::Listening(listener)) => Ground::Listening(listener, self.server),
            // The server has ended it meanwhile.
            _ => {
                self.forget(connection);
                let event = DataEvent::Moved { bytes: 0, end: End::Reset };
                self.events.push_back(DataNews { id, event, place: Some((request, place)) });
                return;
            }
        };
        let (cancel, cancelled) = oneshot::channel();
        self.job = Some(Job {
            id,
            connection,
            request,
            keeps_connection: job.keeps_connection,
            future: Box::pin(transfer::run(job, ground, place, tls, cancelled)),
            cancel: Some(cancel),
            after: After::Keep,
        });
    }

    /// Ends a job or a connection that is being made.
    pub(crate) fn cancel(&mut self, id: OperationId) {
        if let Some(job) = self.job.as_mut().filter(|job| job.id == id) {
            job.cancel.take();
        } else if self.slots.iter().any(|(slot, state)| *slot == id && matches!(state, Slot::Connecting(_))) {
            self.forget(id);
            self.push(id, DataEvent::Failed(ConnectFailure::Cancelled));
        }
    }

    /// Closes a connection in order, when the job that runs on it has ended.
    pub(crate) fn close(&mut self, id: OperationId) {
        if let Some(job) = self.job_on(id) {
            job.after = After::Close;
        } else if let Some(Slot::Standing(link) | Slot::Spent(link)) = self.forget(id) {
            link.let_go();
        }
    }

    /// Closes a connection by a reset.
    pub(crate) fn reset(&mut self, id: OperationId) {
        if let Some(job) = self.job_on(id) {
            job.after = After::Reset;
            job.cancel.take();
        } else if let Some(Slot::Standing(link) | Slot::Spent(link)) = self.forget(id) {
            link.reset();
        }
    }

    /// Ends the job of this request, if it is the one that runs, and gives back what it had.
    pub(crate) async fn recover(&mut self, request: RequestId) -> Option<Place> {
        if let Some(job) = self.job.as_mut().filter(|job| job.request == request) {
            job.cancel.take();
            let done = (&mut job.future).await;
            return self.end_job(done).and_then(|news| news.place).map(|(_, place)| place);
        }
        let at =
            self.events.iter().position(|news| matches!(&news.place, Some((id, _)) if *id == request))?;
        self.events.remove(at)?.place.map(|(_, place)| place)
    }

    /// Waits for the next thing that happens. Cancel-safe.
    pub(crate) async fn next(&mut self) -> DataNews {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<DataNews> {
        if let Some(news) = self.events.pop_front() {
            return Poll::Ready(news);
        }
        if let Some(job) = &mut self.job
            && let Poll::Ready(done) = job.future.as_mut().poll(context)
            && let Some(news) = self.end_job(done)
        {
            return Poll::Ready(news);
        }
        for (id, slot) in &mut self.slots {
            let event = match slot {
                Slot::Connecting(connecting) => match connecting.as_mut().poll(context) {
                    Poll::Pending => continue,
                    Poll::Ready(Ok(socket)) => {
                        *slot = Slot::Standing(Link::new(socket));
                        DataEvent::Connected
                    }
                    Poll::Ready(Err(error)) => DataEvent::Failed(failure(&error)),
                },
                Slot::Standing(link) => match link.poll_dead(context) {
                    Poll::Pending => continue,
                    Poll::Ready(()) => DataEvent::Closed,
                },
                Slot::Listening(_) | Slot::Spent(_) | Slot::Busy => continue,
            };
            let id = *id;
            if event != DataEvent::Connected {
                self.forget(id);
            }
            return Poll::Ready(DataNews { id, event, place: None });
        }
        Poll::Pending
    }

    /// The job has ended; its connection goes back to its place, or to its end.
    fn end_job(&mut self, done: Done) -> Option<DataNews> {
        let Job { id, connection, request, keeps_connection, after, .. } = self.job.take()?;
        let Done { link, place, bytes, end } = done;
        match (link, after) {
            (Some(link), After::Keep) => {
                let slot = if keeps_connection { Slot::Standing(link) } else { Slot::Spent(link) };
                if let Some((_, busy)) = self.slots.iter_mut().find(|(id, _)| *id == connection) {
                    *busy = slot;
                }
            }
            (link, after) => {
                self.forget(connection);
                match (link, after) {
                    (Some(link), After::Reset) => link.reset(),
                    (Some(link), After::Keep | After::Close) => link.let_go(),
                    (None, _) => {}
                }
            }
        }
        let event = DataEvent::Moved { bytes, end };
        Some(DataNews { id, event, place: Some((request, place)) })
    }

    fn job_on(&mut self, connection: OperationId) -> Option<&mut Job> {
        self.job.as_mut().filter(|job| job.connection == connection)
    }

    fn forget(&mut self, id: OperationId) -> Option<Slot> {
        let at = self.slots.iter().position(|(slot, _)| *slot == id)?;
        Some(self.slots.swap_remove(at).1)
    }

    fn push(&mut self, id: OperationId, event: DataEvent) {
        self.events.push_back(DataNews { id, event, place: None });
    }
}

fn failure(error: &io::Error) -> ConnectFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        _ => ConnectFailure::Other(error.to_string()),
    }
}
