//! How data connections come about: EPSV, PASV, EPRT, PORT, and what is tried when one does not lead anywhere.
//!
//! Not inside: sockets, and what goes over a data connection ([`transfers`](super::transfers)).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::dialogue::{Awaits, Dialogue, Stage, Step, Task};
use super::reply::{Class, Reply};
use super::write;
use super::{DataEvent, DataOp, OperationId, Protection, Refusal, RequestId, RouteChoice};
use crate::address;
use crate::command::Mode;
use crate::verbs::Verb;

/// A data connection that stands, or that the server will make.
#[derive(Debug)]
pub(super) struct Link {
    /// Of its `Connect` or `Listen`.
    pub(super) id: OperationId,
    /// Where it goes, or where it is listened for.
    address: SocketAddr,
    pub(super) mode: Mode,
    /// Whether it stays open behind a file, so that several share it.
    pub(super) is_shared: bool,
    pub(super) protection: Protection,
    /// For whom it was arranged, until a transfer was written for it.
    pub(super) fresh_for: Option<RequestId>,
    /// No job of this request or a later one begins on it; when those before have ended, it is closed.
    pub(super) ends_before: Option<RequestId>,
    /// Transfers written for it whose bytes have not moved, in order.
    pub(super) queue: VecDeque<RequestId>,
}

impl Dialogue {
    /// Whether the data connection that stands will do.
    pub(super) fn has_link_for(&self, task: &Task) -> bool {
        let Some(link) = &self.data.link else { return false };
        let fits = link.mode == self.wanted_mode() && link.protection == self.known.wanted_protection();
        // In stream mode it was made for one transfer, which may not have begun.
        let free = link.is_shared || link.queue.is_empty();
        let mine = link.is_shared || link.fresh_for == Some(task.id);
        fits && free && mine && link.ends_before.is_none()
    }

    /// Begins to arrange a data connection. Nothing else is under way.
    pub(super) fn arrange(&mut self, id: RequestId) {
        self.close_link();
        if let Some(task) = self.tasks.get_mut(id) {
            // REST comes directly before its transfer.
            task.restarted = false;
        }
        match self.options.route {
            RouteChoice::Passive => {
                let verb = if self.known.no_extended_passive && self.connection.peer.is_ipv4() {
                    Verb::Pasv
                } else {
                    Verb::Epsv
                };
                self.write_or_refuse(id, Step::Arrange(verb), write::command(verb.name(), None), true);
            }
            RouteChoice::Active { .. } => {
                let operation = self.new_operation();
                self.awaits = Awaits::Listener { operation, request: id };
                self.push_data(operation, DataOp::Listen(self.connection.local.ip()));
            }
        }
    }

    /// EPSV, PASV, EPRT or PORT was answered.
    pub(super) fn arrangement_answered(&mut self, id: RequestId, verb: Verb, reply: Reply) {
        // A setting was refused that stood before it, or nobody wants it any more.
        if !matches!(self.tasks.get(id), Some(Task { stage: Stage::Waiting, aborted: false, .. })) {
            return self.close_link();
        }
        let is_taken = reply.class() == Class::Completion;
        match verb {
            Verb::Epsv | Verb::Pasv if is_taken => match self.passive_address(verb, &reply) {
                Some(address) => self.connect(id, verb, address),
                None if verb == Verb::Epsv && self.fall_back_to_pasv(id) => {}
                None => {
                    self.finish(id, Err(Refusal::Unreadable { command: verb.name(), reply }));
                }
            },
            Verb::Epsv if is_unknown(&reply) && self.fall_back_to_pasv(id) => {}
            Verb::Eprt if is_unknown(&reply) && self.fall_back_to_port(id) => {}
            Verb::Eprt | Verb::Port if is_taken => {}
            _ => {
                self.close_link();
                self.refuse(id, verb.name(), reply);
            }
        }
    }

    /// Whether PASV is tried in place of EPSV, now and from here on.
    fn fall_back_to_pasv(&mut self, id: RequestId) -> bool {
        // PASV cannot name an IPv6 address.
        if !self.connection.peer.is_ipv4() {
            return false;
        }
        self.known.no_extended_passive = true;
        let line = write::command(Verb::Pasv.name(), None);
        self.write_or_refuse(id, Step::Arrange(Verb::Pasv), line, true);
        true
    }

    fn fall_back_to_port(&mut self, id: RequestId) -> bool {
        let argument = self.data.link.as_ref().and_then(|link| write::port(link.address));
        let Some(argument) = argument else { return false };
        self.known.no_extended_active = true;
        let line = write::command(Verb::Port.name(), Some(&argument));
        self.write_or_refuse(id, Step::Arrange(Verb::Port), line, true);
        true
    }

    /// Some servers answer EPSV with a 227, so both forms are looked for, in whichever line.
    fn passive_address(&self, verb: Verb, reply: &Reply) -> Option<SocketAddr> {
        let peer = self.connection.peer.ip();
        let mut lines = reply.lines.iter().rev();
        if verb == Verb::Epsv
            && let Some(port) = lines.clone().find_map(|line| address::parse_epsv_reply(line).ok())
        {
            return Some(SocketAddr::new(peer, port));
        }
        let named = lines.find_map(|line| address::parse_pasv_reply(line).ok())?;
        let trusted = self.options.trust_passive_address && !named.ip().is_unspecified();
        let ip = if trusted { IpAddr::V4(*named.ip()) } else { peer };
        Some(SocketAddr::new(ip, named.port()))
    }

    fn connect(&mut self, id: RequestId, verb: Verb, address: SocketAddr) {
        let operation = self.new_operation();
        let until = Some(self.now + self.options.connect_timeout);
        self.awaits = Awaits::Connection { operation, until, request: id, verb, address };
        self.push_data(operation, DataOp::Connect(address));
    }

    /// The answer to `Connect`.
    pub(super) fn connected(
        &mut self,
        id: RequestId,
        operation: OperationId,
        verb: Verb,
        address: SocketAddr,
        event: DataEvent,
    ) {
        match event {
            DataEvent::Connected => self.take_link(id, operation, address),
            DataEvent::Failed(why) => {
                let wanted = self.tasks.get(id).is_some_and(|task| !task.aborted);
                // A firewall may know the ports of PASV and not those of EPSV, or the other way round.
                let was_passive = verb == Verb::Epsv;
                if wanted && was_passive && self.fall_back_to_pasv(id) {
                    return;
                }
                self.known.no_extended_passive = false;
                if wanted {
                    self.finish(id, Err(Refusal::NoDataConnection { address, why }));
                }
            }
            _ => {}
        }
    }

    /// The answer to `Listen`.
    pub(super) fn listening(&mut self, id: RequestId, operation: OperationId, event: DataEvent) {
        match event {
            DataEvent::Listening(bound) => {
                let RouteChoice::Active { address } = self.options.route else { return };
                let address = SocketAddr::new(address.unwrap_or(bound.ip()), bound.port());
                self.take_link(id, operation, address);
                let (verb, argument) = match write::port(address) {
                    Some(argument) if self.known.no_extended_active => (Verb::Port, argument),
                    _ => (Verb::Eprt, write::eprt(address)),
                };
                let line = write::command(verb.name(), Some(&argument));
                self.write_or_refuse(id, Step::Arrange(verb), line, true);
            }
            DataEvent::Failed(why) => {
                let address = SocketAddr::new(self.connection.local.ip(), 0);
                self.finish(id, Err(Refusal::NoDataConnection { address, why }));
            }
            _ => {}
        }
    }

    fn take_link(&mut self, id: RequestId, operation: OperationId, address: SocketAddr) {
        let mode = self.wanted_mode();
        self.data.link = Some(Link {
            id: operation,
            address,
            mode,
            is_shared: self.known.keeps_connection(mode),
            protection: self.known.wanted_protection(),
            fresh_for: Some(id),
            ends_before: None,
            queue: VecDeque::new(),
        });
    }

    /// Nobody waits for this data connection any more.
    pub(super) fn give_up_connecting(&mut self, id: RequestId) {
        if let Awaits::Connection { operation, until: until @ Some(_), request, .. } = &mut self.awaits
            && *request == id
        {
            *until = None;
            let operation = *operation;
            self.push_data(operation, DataOp::Cancel);
        }
    }

    /// Closes the data connection, whoever uses it.
    pub(super) fn close_link(&mut self) {
        let Some(link) = self.data.link.take() else { return };
        let is_idle = self.data.running.is_none() && link.queue.is_empty();
        self.cancel_running();
        self.push_data(link.id, if is_idle { DataOp::Close } else { DataOp::Reset });
    }

    /// Stops the job that runs; its end still comes.
    pub(super) fn cancel_running(&mut self) {
        if let Some(running) = &mut self.data.running
            && !std::mem::replace(&mut running.cancelled, true)
        {
            let operation = running.operation;
            self.push_data(operation, DataOp::Cancel);
        }
    }

    /// The server has closed a data connection on which nothing ran.
    pub(super) fn link_closed(&mut self, id: OperationId) {
        self.data.link.take_if(|link| link.id == id);
    }
}

/// Whether a reply says that the command, or what it names, is not known (RFC 2428 has 522).
pub(super) fn is_unknown(reply: &Reply) -> bool {
    matches!(reply.code, 500 | 501 | 502 | 504 | 522)
}
