//! The beginning of TLS on the control connection: what stands before it, and how AUTH comes to its answer.
//!
//! Not inside: what is protected since; that is `guard`.

use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{OperationId, TlsEvent};
use longshore_proto::verbs::Verb;

use super::super::known::{Kind, Waiting};
use super::Judge;

impl Judge {
    /// The 234 is said only if no byte stands behind its AUTH, which the answer tells.
    pub(super) fn start_tls(&mut self, id: OperationId, reply: Option<&Reply>) {
        let auth = self.unanswered.front().filter(|front| front.verb() == Some(Verb::Auth));
        let mechanism = auth.and_then(|auth| auth.mechanism);
        let (alone, greeted, logged_in) = (self.unanswered.len() == 1, self.greeted, self.logged_in);
        let fits = match reply {
            Some(reply) => reply.situation == Situation::TlsBegins && mechanism.is_some() && alone,
            None => !greeted && mechanism.is_none(),
        };
        self.demand(fits, || format!("TLS begins with {reply:?}, alone: {alone}, greeted: {greeted}"));
        self.demand(!logged_in, || "TLS begins while somebody is logged in".to_owned());
        let objection = self.guard.start(mechanism);
        self.violations.extend(objection);
        let idle = self.under_way.is_empty();
        self.demand(idle, || "TLS begins while something is under way".to_owned());
        self.begin(id, Kind::Tls);
    }

    /// An answer is about to be handed in.
    pub fn tls_answered(&mut self, id: OperationId, event: &TlsEvent) {
        self.answered(id);
        self.guard.answered(event);
        if *event != TlsEvent::BytesBehind {
            self.finish_auth();
        }
    }

    /// The 234 was sent, and is the answer to AUTH whatever comes of TLS.
    pub(super) fn finish_auth(&mut self) {
        if self.unanswered.front().is_some_and(|front| front.verb() == Some(Verb::Auth)) {
            self.reply(&Reply::new(Situation::TlsBegins));
        }
    }
}
