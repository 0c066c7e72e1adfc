//! What a session waits for, and in which order it looks.
//!
//! Not inside: what is done about any of it.

use std::future::Future;
use std::io;
use std::task::{Context, Poll, ready};

use longshore_net::Urgency;
use longshore_proto::server::Takes;

use super::{Driver, Happening};
use crate::limits::{CONTROL_READ_BYTES, CONTROL_UNSENT_LIMIT_BYTES, CONTROL_WRITE_TIMEOUT};
use crate::server::Phase;
use crate::transfer::Markers;

impl Driver {
    /// Waits for the first thing that happens.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(done) = work.as_mut().poll(context)
        {
            self.work = None;
            return Poll::Ready(Happening::Work(done));
        }
        if let Some(running) = &mut self.transfer.running
            && let Poll::Ready((id, arrived)) = running.as_mut().poll(context)
        {
            self.transfer.running = None;
            return Poll::Ready(Happening::Data(id, arrived));
        }
        if self.transfer.markers.as_ref().is_some_and(Markers::any) {
            return Poll::Ready(Happening::Markers(self.transfer.moving));
        }
        // From here on it is a wait: nobody shall wait for a reply meanwhile.
        if self.unsent.poll_flush(&self.stream, context).is_err() {
            self.unsent.clear();
            // A client that has already closed does not hear us, which ends nothing that it asked for.
            if !self.reading.ended {
                return self.broken();
            }
        }
        // Before any input: a client that sends without end must not keep these from being looked at.
        if let Poll::Ready(phase) = self.poll_phase(context) {
            return Poll::Ready(Happening::Phase(phase));
        }
        if let Poll::Ready(happening) = self.poll_deadline(context) {
            return Poll::Ready(happening);
        }
        if self.reading.held_back && self.unsent.len() < CONTROL_UNSENT_LIMIT_BYTES {
            // The client may wait for these answers before it sends a byte more.
            return Poll::Ready(Happening::Read);
        }
        self.poll_control(context)
    }

    /// Whether the server has come nearer to its end than the session was told.
    fn poll_phase(&mut self, context: &mut Context<'_>) -> Poll<Phase> {
        loop {
            match &mut self.reading.nearer {
                Some(nearer) => {
                    ready!(nearer.as_mut().poll(context));
                    self.reading.nearer = None;
                }
                None => {
                    // Asked for before the look, so that no change falls between the two.
                    self.reading.nearer = Some(Box::pin(self.shared.nearer_to_end(self.number)));
                    let phase = *self.shared.phase.borrow();
                    if phase > self.reading.phase {
                        self.reading.phase = phase;
                        return Poll::Ready(phase);
                    }
                }
            }
        }
    }

    /// The client will send nothing more: told once, when all that came before has been taken.
    fn poll_end(&mut self) -> Poll<Happening> {
        if self.reading.told || self.session.takes() == Takes::Nothing {
            return Poll::Pending;
        }
        self.reading.told = true;
        match self.reading.failed {
            true => self.broken(),
            false => Poll::Ready(Happening::EndOfInput),
        }
    }

    fn broken(&mut self) -> Poll<Happening> {
        self.reading.ended = true;
        self.reading.told = true;
        // Else the time-out of what nobody will read would come again and again.
        self.unsent.clear();
        Poll::Ready(Happening::Reset)
    }

    fn poll_control(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        if self.reading.ended {
            return self.poll_end();
        }
        // Bytes of a handshake are no lines.
        let takes = (self.session.takes() == Takes::Lines || !self.shield.is_settled())
            && self.unsent.len() < CONTROL_UNSENT_LIMIT_BYTES;
        if !takes {
            return self.poll_urgent(context);
        }
        self.reading.urgent = None;
        loop {
            match self.stream.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return self.broken(),
                Poll::Ready(Ok(())) => {}
            }
            let mut bytes = [0; CONTROL_READ_BYTES];
            match self.stream.try_read(&mut bytes) {
                Ok(0) => {
                    self.reading.ended = true;
                    if let Some(happening) = self.ended_in_handshake() {
                        return Poll::Ready(happening);
                    }
                    return self.poll_end();
                }
                Ok(count) => return Poll::Ready(self.arrived(&bytes[..count])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.broken(),
            }
        }
    }

    /// Enough commands wait; only an ABOR announced by urgent data, or the end, is worth knowing.
    fn poll_urgent(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        let stream = &self.stream;
        let urgent = self.reading.urgent.get_or_insert_with(|| {
            let stream = stream.clone();
            Box::pin(async move { longshore_net::wait_urgent(&stream).await })
        });
        match urgent.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Urgency::Urgent)) if self.session.takes() == Takes::Nothing => {
                // Told once: what lies beyond the reach of the reading that follows stays pending all the while.
                self.reading.urgent = Some(Box::pin(std::future::pending()));
                Poll::Ready(Happening::Urgent)
            }
            // Nothing more to learn here until reading goes on.
            Poll::Ready(Ok(Urgency::Urgent) | Err(_)) => {
                self.reading.urgent = Some(Box::pin(std::future::pending()));
                Poll::Pending
            }
            Poll::Ready(Ok(Urgency::Closed)) => self.broken(),
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        // What is too far away to be told is never.
        let session = self.session.deadline().and_then(|moment| self.started.checked_add(moment.0));
        let unsent = self.unsent.blocked_since().map(|since| since + CONTROL_WRITE_TIMEOUT);
        let Some(at) = [session, unsent].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // A timer that fires early is set anew; most deadlines move on before they come, so it is not touched then.
        if sleep.deadline() > at || (sleep.is_elapsed() && sleep.deadline() < at) {
            sleep.as_mut().reset(at);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if sleep.deadline() >= at {
                if unsent == Some(at) {
                    return self.broken();
                }
                return Poll::Ready(Happening::Timeout);
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}
