//! How a dialogue ends, and when its patience does.
//!
//! Not inside: a clock. Time comes in with every [`Input`](super::Input).

use super::dialogue::{Awaits, Dialogue, Phase, Stage, Step};
use super::{Fate, Loss, Moment, Output, Refusal, Request, RequestId};

impl Dialogue {
    /// When [`Input::Timeout`](super::Input::Timeout) is due, if nothing happens before.
    pub fn deadline(&self) -> Option<Moment> {
        let greeting = match (&self.phase, &self.awaits) {
            (Phase::Closed(_), _) => return None,
            // TLS that comes first has a time of its own.
            (_, Awaits::Tls { .. }) | (Phase::Ready, _) => None,
            (Phase::Greeting(since), _) => Some(*since + self.options.reply_timeout),
        };
        let awaited = match self.awaits {
            Awaits::Tls { until, .. } => Some(until),
            Awaits::Connection { until, .. } => until,
            Awaits::Nothing | Awaits::Listener { .. } => None,
        };
        [greeting, awaited, self.reply_due(), self.doubt_ends()].into_iter().flatten().min()
    }

    /// When the reply to the first command must have come. While bytes move, whoever moves them sees to the time.
    fn reply_due(&self) -> Option<Moment> {
        let front = self.wire.front()?;
        if front.step == Step::Abort {
            return Some(self.wire.since + self.options.abort_timeout);
        }
        let moves = self.data.running.is_some() && !self.abort_is_out();
        (!moves).then(|| self.wire.since + self.options.reply_timeout)
    }

    pub(super) fn handle_timeout(&mut self) {
        if self.doubt_ends().is_some_and(|at| at <= self.now) {
            self.end_doubt();
        }
        match (&self.phase, self.awaits) {
            (_, Awaits::Tls { until, .. }) if until <= self.now => {
                let seconds = self.options.handshake_timeout.as_secs();
                self.lose(Loss::TlsFailed(format!("no handshake within {seconds} s")));
            }
            (Phase::Greeting(since), Awaits::Nothing) if *since + self.options.reply_timeout <= self.now => {
                self.lose_to_silence();
            }
            (_, Awaits::Connection { until: Some(until), request, .. }) if until <= self.now => {
                self.give_up_connecting(request);
            }
            _ => {}
        }
        if self.reply_due().is_some_and(|at| at <= self.now) && !self.is_closed() {
            if self.wire.front().is_some_and(|front| front.step == Step::Abort) {
                // Some servers answer the transfer and its ABOR with one reply.
                self.wire.late_abort = true;
                self.pop_written();
            } else {
                self.lose_to_silence();
            }
        }
    }

    fn lose_to_silence(&mut self) {
        self.lose(Loss::Silent { seconds: self.options.reply_timeout.as_secs() });
    }

    /// The server will say nothing more, which behind QUIT is as good as its answer.
    pub(super) fn handle_end_of_input(&mut self) {
        match self.wire.front().map(|front| front.request).filter(|&id| self.is_quit(id)) {
            Some(id) => self.quit_answered(id, None),
            None => self.lose(Loss::Closed),
        }
    }

    fn is_quit(&self, id: RequestId) -> bool {
        self.tasks
            .get(id)
            .is_some_and(|task| matches!((&task.request, &task.stage), (Request::Quit, Stage::Written)))
    }

    /// The control connection is of no use any more: every request is answered, and nothing is left open.
    pub(super) fn lose(&mut self, why: Loss) {
        if self.is_closed() {
            return;
        }
        if let Awaits::Connection { operation, .. } | Awaits::Listener { operation, .. } = self.awaits {
            self.push_data(operation, super::DataOp::Close);
        }
        self.awaits = Awaits::Nothing;
        self.close_link();
        self.phase = Phase::Closed(why.clone());
        let ids: Vec<RequestId> = self.tasks.iter().map(|task| task.id).collect();
        for id in ids {
            let fate = match self.tasks.get(id).map(|task| &task.stage) {
                Some(Stage::Waiting) => Fate::NotDone,
                Some(Stage::Written | Stage::Transfer(_)) => Fate::Unknown,
                Some(Stage::Finished(_)) | None => continue,
            };
            self.finish(id, Err(Refusal::Lost { fate, why: why.clone() }));
        }
        self.push(Output::Close);
    }
}
