//! The loop of one control connection: what the dialogue asks for is carried out, what happens is handed to it.
//!
//! Not inside: any decision about the protocol, which the dialogue makes, and bytes of files.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use longshore_proto::client::{
    Answer, DataOp, Dialogue, Event, Input, Loss, Moment, OperationId, Output, Refusal, Request, RequestId,
    TlsEvent, TransferJob,
};
use longshore_proto::line::Line;
use longshore_tls::ClientSession;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use crate::control::{Arrival, Control};
use crate::data::{DataConnections, DataNews};
use crate::limits::REQUESTS_AT_ONCE;
use crate::place::Place;

/// Watches a control connection, for a log or a transcript.
pub trait Observer: Send {
    /// This command goes out, without its line end; of one that holds a password, the verb alone.
    fn sent(&mut self, command: &[u8]) {
        let _ = command;
    }

    /// This line of a reply has come, without its line end.
    fn received(&mut self, line: &[u8]) {
        let _ = line;
    }

    /// Something is worth knowing that answers no request.
    fn noticed(&mut self, event: &Event) {
        let _ = event;
    }
}

/// A control connection with all that belongs to it. Nothing happens on it unless [`Connection::run`] is polled.
pub struct Connection {
    dialogue: Dialogue,
    control: Control,
    data: DataConnections,
    asks: mpsc::UnboundedReceiver<Ask>,
    /// Whether somebody can still ask for something.
    asked: bool,
    /// Requests without an answer, in order.
    waiting: VecDeque<Waiting>,
    tls: Option<ClientSession>,
    observer: Option<Box<dyn Observer>>,
    /// How it has ended, for those who ask too late.
    ended: Arc<OnceLock<Loss>>,
    /// What moments are counted from.
    began: Instant,
    alarm: Alarm,
}

/// Names a transfer for whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

/// What a [`Client`](crate::Client) wants.
pub(crate) enum Ask {
    Request(Request, oneshot::Sender<Result<Answer, Refusal>>),
    Transfer(Ticket, Request, Place, oneshot::Sender<Ended>),
    Abort(Ticket),
}

/// The end of a transfer.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) result: Result<Answer, Refusal>,
    pub(crate) place: Option<Place>,
}

/// One request without an answer.
struct Waiting {
    id: RequestId,
    whose: Whose,
}

enum Whose {
    /// Nobody is told.
    Ours,
    Request(oneshot::Sender<Result<Answer, Refusal>>),
    Transfer {
        ticket: Ticket,
        /// The job has it while it runs.
        place: Option<Place>,
        sender: oneshot::Sender<Ended>,
    },
}

/// A timer that is set anew only when the moment it waits for comes sooner than what it is set to.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set_to: Option<Instant>,
}

impl Alarm {
    fn set(&mut self, at: Option<Instant>) {
        if let Some(at) = at
            && self.set_to.is_none_or(|set| at < set)
        {
            self.sleep.as_mut().reset(at);
            self.set_to = Some(at);
        }
    }

    async fn ring(&mut self) {
        if self.set_to.is_none() {
            return std::future::pending().await;
        }
        self.sleep.as_mut().await;
        self.set_to = None;
    }
}

impl Connection {
    /// A dialogue begins at [`Moment`] zero.
    pub(crate) fn new(
        dialogue: Dialogue,
        socket: TcpStream,
        server: IpAddr,
        asks: mpsc::UnboundedReceiver<Ask>,
        tls: Option<ClientSession>,
        observer: Option<Box<dyn Observer>>,
        ended: Arc<OnceLock<Loss>>,
    ) -> Connection {
        let began = Instant::now();
        Connection {
            dialogue,
            control: Control::new(socket),
            data: DataConnections::new(server),
            asks,
            asked: true,
            waiting: VecDeque::new(),
            tls,
            observer,
            ended,
            began,
            alarm: Alarm { sleep: Box::pin(tokio::time::sleep_until(began)), set_to: None },
        }
    }

    /// Carries out what is asked for, until the control connection has ended, and says how it did. When every
    /// [`Client`](crate::Client) and [`Transfer`](crate::Transfer) of it is gone and everything that was asked for is
    /// answered, it ends by QUIT.
    ///
    /// Dropped, it takes the control connection and the data connections with it, and requests are answered by
    /// [`Error::Abandoned`](crate::Error::Abandoned).
    pub async fn run(mut self) -> Loss {
        let mut asks = Vec::with_capacity(REQUESTS_AT_ONCE);
        loop {
            self.carry_out().await;
            if self.dialogue.is_closed() {
                break;
            }
            if !self.asked && self.dialogue.unanswered() == 0 {
                self.ask(Request::Quit, Whose::Ours);
                continue;
            }
            self.alarm.set(self.dialogue.deadline().map(|Moment(after)| self.began + after));
            // A job that never waits comes last: commands, aborts and time-outs must not wait for it.
            tokio::select! {
                biased;
                arrival = self.control.next() => self.arrived(arrival).await,
                count = self.asks.recv_many(&mut asks, REQUESTS_AT_ONCE), if self.asked => {
                    self.asked = count > 0;
                    for ask in asks.drain(..) {
                        self.take(ask);
                    }
                }
                () = self.alarm.ring() => self.dialogue.handle(now(self.began), Input::Timeout),
                news = self.data.next() => self.hand_in(news),
            }
        }
        let loss = self.dialogue.loss().cloned().unwrap_or(Loss::Closed);
        // Whoever asks from here on is told so.
        let _ = self.ended.set(loss.clone());
        self.asks.close();
        while let Some(ask) = self.asks.recv().await {
            self.take(ask);
            self.carry_out().await;
        }
        loss
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Request(request, sender) => self.ask(request, Whose::Request(sender)),
            Ask::Transfer(ticket, request, place, sender) => {
                self.ask(request, Whose::Transfer { ticket, place: Some(place), sender });
            }
            Ask::Abort(ticket) => {
                let its =
                    |whose: &Whose| matches!(whose, Whose::Transfer { ticket: its, .. } if *its == ticket);
                if let Some(waiting) = self.waiting.iter().find(|waiting| its(&waiting.whose)) {
                    self.dialogue.abort(now(self.began), waiting.id);
                }
            }
        }
    }

    fn ask(&mut self, request: Request, whose: Whose) {
        let id = self.dialogue.ask(now(self.began), request);
        self.waiting.push_back(Waiting { id, whose });
    }

    fn hand_in(&mut self, news: DataNews) {
        if let Some((request, given_back)) = news.place
            && let Some(place) = self.place_of(request)
        {
            *place = Some(given_back);
        }
        self.dialogue.handle(now(self.began), Input::Data(news.id, news.event));
    }

    /// Hands in the lines that have come, each when what the one before led to is done: TLS begins behind a line.
    async fn arrived(&mut self, arrival: Arrival) {
        let now = now(self.began);
        match arrival {
            Arrival::End => self.dialogue.handle(now, Input::EndOfInput),
            Arrival::Reset => self.dialogue.handle(now, Input::Reset),
            Arrival::Bytes => {
                while let Some(line) = self.control.lines.next_line() {
                    if let (Some(observer), Line::Command(line)) = (&mut self.observer, line) {
                        observer.received(line);
                    }
                    self.dialogue.handle(now, Input::Line(line));
                    self.carry_out().await;
                    if self.dialogue.is_closed() {
                        return;
                    }
                }
            }
        }
    }

    /// Does what the dialogue says.
    async fn carry_out(&mut self) {
        while let Some(output) = self.dialogue.next() {
            match output {
                Output::Send(command) => {
                    if let Some(observer) = &mut self.observer {
                        observer.sent(command.shown());
                    }
                    self.control.send(command.bytes());
                }
                Output::SendSynch => self.control.send_synch(),
                Output::StartTls(id) => {
                    let event = self.start_tls().await;
                    self.dialogue.handle(now(self.began), Input::Tls(id, event));
                }
                Output::Data(id, op) => self.operate(id, op).await,
                Output::Done(id, result) => self.answer(id, result).await,
                Output::Event(event) => {
                    if let Some(observer) = &mut self.observer {
                        observer.noticed(&event);
                    }
                }
                // The sockets go with this value.
                Output::Close => {}
            }
        }
    }

    async fn start_tls(&mut self) -> TlsEvent {
        if !self.control.lines.is_empty() {
            return TlsEvent::BytesBehind;
        }
        if self.control.is_unsent() {
            // Whoever answers what was not sent is not the one that we speak to.
            return TlsEvent::Failed(
                "AUTH was answered before it was sent; somebody may stand in between".to_owned(),
            );
        }
        let Some(tls) = self.tls.clone() else {
            return TlsEvent::Failed("no TLS was set up; say whose certificate is to be trusted".to_owned());
        };
        let until = self.dialogue.deadline().map(|Moment(after)| self.began + after);
        let protect = self.control.protect(&tls);
        let protected = match until {
            Some(until) => tokio::time::timeout_at(until, protect).await,
            None => Ok(protect.await),
        };
        match protected {
            Ok(Ok(())) => TlsEvent::Up,
            Ok(Err(why)) => TlsEvent::Failed(why),
            Err(_) => TlsEvent::Failed("the server did not answer the handshake in time".to_owned()),
        }
    }

    async fn operate(&mut self, id: OperationId, op: DataOp) {
        match op {
            DataOp::Connect(address) => self.data.connect(id, address),
            DataOp::Listen(address) => self.data.listen(id, address).await,
            DataOp::Send(job) | DataOp::Receive(job) => self.begin(id, job),
            DataOp::Cancel => self.data.cancel(id),
            DataOp::Close => self.data.close(id),
            DataOp::Reset => self.data.reset(id),
        }
    }

    fn begin(&mut self, id: OperationId, job: TransferJob) {
        let place = self.place_of(job.request).and_then(Option::take);
        let place = place.expect("each transfer was asked for with a place, and has one job at a time");
        self.data.begin(id, job, place, self.tls.clone());
    }

    fn place_of(&mut self, request: RequestId) -> Option<&mut Option<Place>> {
        let first = self.waiting.front()?.id.0;
        let index = usize::try_from(request.0.checked_sub(first)?).ok()?;
        match &mut self.waiting.get_mut(index)?.whose {
            Whose::Transfer { place, .. } => Some(place),
            Whose::Ours | Whose::Request(_) => None,
        }
    }

    async fn answer(&mut self, id: RequestId, result: Result<Answer, Refusal>) {
        let waiting = self.waiting.pop_front();
        let Some(Waiting { whose, .. }) = waiting.filter(|waiting| waiting.id == id) else {
            unreachable!("requests are answered in the order in which they were asked");
        };
        // Whoever has asked may be gone.
        match whose {
            Whose::Ours => {}
            Whose::Request(sender) => drop(sender.send(result)),
            Whose::Transfer { place, sender, .. } => {
                let place = match place {
                    Some(place) => Some(place),
                    // The control connection is lost while the job runs.
                    None => self.data.recover(id).await,
                };
                drop(sender.send(Ended { result, place }));
            }
        }
    }
}

fn now(began: Instant) -> Moment {
    Moment(began.elapsed())
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("dialogue", &self.dialogue).finish_non_exhaustive()
    }
}

/// Where both ends of a control connection are, IPv4-mapped addresses turned into IPv4.
pub(crate) fn ends(socket: &TcpStream) -> std::io::Result<longshore_proto::client::Connection> {
    let plain = |address: SocketAddr| longshore_net::normalise(address);
    Ok(longshore_proto::client::Connection {
        local: plain(socket.local_addr()?),
        peer: plain(socket.peer_addr()?),
    })
}
