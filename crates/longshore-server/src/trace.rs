//! Whose dialogues are told line by line, and what is left out of them.
//!
//! Not inside: where the lines go. While nobody is traced, a session pays one load of an atomic for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use longshore_accounts::Network;
use longshore_proto::command;
use longshore_proto::reply::Situation;
use longshore_proto::verbs::Verb;

use crate::events::SessionName;

/// Whose dialogues are told. By default nobody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Clients from these networks.
    pub networks: Vec<Network>,
    /// Whoever is logged in with these accounts, or has named one with USER.
    pub accounts: Vec<String>,
}

/// What is in force.
#[derive(Default)]
pub(crate) struct Traced {
    any: AtomicBool,
    trace: RwLock<Trace>,
}

impl Traced {
    pub(crate) fn set(&self, trace: Trace) {
        let any = !trace.networks.is_empty() || !trace.accounts.is_empty();
        *self.trace.write().unwrap_or_else(PoisonError::into_inner) = trace;
        self.any.store(any, Ordering::Release);
    }

    /// Whether anybody is traced at all.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether this session is; `named` is what its client said last with USER.
    pub(crate) fn covers(&self, session: &SessionName, named: Option<&[u8]>) -> bool {
        let trace = self.trace.read().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |account: &String| {
            session.account.as_deref() == Some(account.as_str())
                || (session.account.is_none() && named == Some(account.as_bytes()))
        };
        trace.networks.iter().any(|network| network.contains(session.peer.ip()))
            || trace.accounts.iter().any(is_meant)
    }
}

/// A command as it may be shown: without what may be a password, and what verb it is.
pub(crate) fn shown(line: &[u8]) -> (Vec<u8>, Option<Verb>) {
    let (word, _) = command::split(line);
    let verb = Verb::find(word);
    let shown = match verb {
        Some(Verb::Pass | Verb::Acct | Verb::Adat) => [word, b" ***"].concat(),
        Some(_) => line.to_vec(),
        // Whoever mistypes PASS, or sends a password alone, has it in no log either.
        None => b"*** (no command)".to_vec(),
    };
    (shown, verb)
}

/// A reply as it may be shown: one that repeats what was sent in place of a command may repeat a password.
pub(crate) fn shown_reply(situation: Situation, bytes: &[u8]) -> Vec<u8> {
    if situation == Situation::Unknown {
        return format!("{} *** (no command)", situation.code()).into_bytes();
    }
    bytes.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&shown(line.as_bytes()).0), expected, "{line}");
    }

    #[test]
    fn passwords_are_left_out() {
        check("RETR a b", "RETR a b");
        check("PASS secret", "PASS ***");
        check("pass secret word", "pass ***");
        check("PASS", "PASS ***");
        check("ACCT secret", "ACCT ***");
        check("PAS secret", "*** (no command)");
        check("secret", "*** (no command)");
        check("USER anna", "USER anna");
    }

    #[test]
    fn replies_repeat_none_of_them() {
        assert_eq!(
            shown_reply(Situation::Unknown, b"500 secret is not known here\r\n"),
            b"500 *** (no command)"
        );
        assert_eq!(shown_reply(Situation::Noop, b"200 Still here\r\n"), b"200 Still here\r\n");
    }

    #[test]
    fn by_address_and_account() {
        let traced = Traced::default();
        assert!(!traced.any());
        let session = |peer: &str, account: Option<&str>| SessionName {
            number: 1,
            peer: peer.parse().expect("an address"),
            account: account.map(Into::into),
        };
        let networks = vec!["192.0.2.0/24".parse().expect("a network")];
        traced.set(Trace { networks, accounts: vec!["anna".to_owned()] });
        assert!(traced.any());
        assert!(traced.covers(&session("192.0.2.9:5", None), None));
        assert!(!traced.covers(&session("192.0.3.9:5", None), None));
        assert!(traced.covers(&session("192.0.3.9:5", Some("anna")), None));
        assert!(traced.covers(&session("192.0.3.9:5", None), Some(b"anna")));
        assert!(!traced.covers(&session("192.0.3.9:5", Some("bert")), Some(b"anna")));
        traced.set(Trace::default());
        assert!(!traced.any());
    }
}
