//! Who is logged in, and how that comes about: USER, PASS, the verdict, the delay before a refusal, REIN.
//!
//! Not inside: accounts and passwords; whoever drives the session checks them ([`Output::Login`]).

use std::time::Duration;

use longshore_path::VirtualPath;

use super::session::{Session, Stage};
use super::settings::{Pair, Settings};
use super::{Credential, Event, LoginOutcome, LoginRequest, OperationId, Output, TlsNeed};
use crate::command::Secret;
use crate::limits::{LOGIN_ATTEMPTS, LOGIN_DELAY_LIMIT_SECONDS, LOGIN_DELAY_SECONDS};
use crate::reply::{Reply, Situation};
use crate::verbs::Verb;

/// How far the peer has got.
#[derive(Debug)]
pub(super) enum Login {
    /// Nobody yet; the user's name once USER was said directly before.
    Out { user: Option<Vec<u8>> },
    /// Somebody whose name and password were checked.
    In(LoggedIn),
}

/// Made by a granted login only.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) account: String,
    pub(super) directory: VirtualPath,
    pub(super) quota: bool,
}

impl Session {
    pub(super) fn user(&mut self, name: Vec<u8>) {
        self.log_out();
        if let Some(situation) = self.refusal_in_clear(&name) {
            self.push(Output::Event(Event::LoginRefused { user: name, situation }));
            return self.answer(Verb::User, Reply::new(situation));
        }
        if self.shield.has_certificate() {
            return self.ask_login(Verb::User, name, Credential::Certificate);
        }
        self.login = Login::Out { user: Some(name) };
        self.answer(Verb::User, Reply::new(Situation::PasswordWanted));
    }

    /// Why nobody of this name may log in without TLS, before a password is asked for: 530.
    fn refusal_in_clear(&self, name: &[u8]) -> Option<Situation> {
        if self.shield.is_up() {
            return None;
        }
        let anonymous = name.eq_ignore_ascii_case(b"anonymous") || name.eq_ignore_ascii_case(b"ftp");
        let refused = !self.policy.clear_passwords && !anonymous;
        match self.policy.tls.need {
            TlsNeed::Login | TlsNeed::Data => Some(Situation::TlsNeeded),
            TlsNeed::Nothing if refused && self.could_begin_tls() => Some(Situation::TlsNeeded),
            TlsNeed::Nothing => refused.then_some(Situation::ClearRefused),
        }
    }

    fn ask_login(&mut self, verb: Verb, user: Vec<u8>, credential: Credential) {
        let id = self.new_id();
        self.stage = Stage::AwaitLogin { id, user: user.clone(), verb };
        self.push(Output::Login(id, LoginRequest { user, credential }));
    }

    pub(super) fn log_out(&mut self) {
        if let Login::In(_) = self.login {
            self.login = Login::Out { user: None };
            self.shield.need = self.policy.tls.need;
            self.restart_login_timer();
            // What the account before was content with to know its client is not enough for every other.
            let held = self.arrangement.close_kept();
            self.let_go(held);
            self.push(Output::Logout);
        }
    }

    pub(super) fn pass(&mut self, pair: Pair, password: Secret) {
        let Pair::User(user) = pair else {
            return self.answer(Verb::Pass, Reply::new(Situation::PassWithoutUser));
        };
        self.ask_login(Verb::Pass, user, Credential::Password(password));
    }

    pub(super) fn rein(&mut self) {
        if self.rein_is_refused() {
            return self.answer(Verb::Rein, Reply::new(Situation::ReinRefused));
        }
        self.log_out();
        self.login = Login::Out { user: None };
        self.settings = Settings::default();
        let held = self.arrangement.close();
        self.let_go(held);
        let output = self.rein_shield();
        self.push(output);
    }

    pub(super) fn handle_login(&mut self, id: OperationId, outcome: LoginOutcome) {
        let (user, verb) = match &mut self.stage {
            Stage::AwaitLogin { id: expected, user, verb } if *expected == id => {
                (std::mem::take(user), *verb)
            }
            _ => return,
        };
        match outcome {
            LoginOutcome::Accepted { account, directory, quota, need } => {
                self.stage = Stage::Idle;
                self.timers.last_activity = self.now;
                self.push(Output::Event(Event::LoggedIn { account: account.clone() }));
                let situation =
                    if verb == Verb::User { Situation::LoggedInByCertificate } else { Situation::LoggedIn };
                let reply = Reply::new(situation).with("account", account.clone().into_bytes());
                self.login = Login::In(LoggedIn { account, directory, quota });
                self.shield.need = self.policy.tls.need.max(need);
                self.answer(verb, reply);
            }
            LoginOutcome::Rejected { .. } if verb == Verb::User => {
                self.stage = Stage::Idle;
                self.login = Login::Out { user: Some(user) };
                self.answer(verb, Reply::new(Situation::PasswordWanted));
            }
            LoginOutcome::Rejected { earlier } => {
                self.timers.failed_logins += 1;
                let failed = u64::from(self.timers.failed_logins.max(earlier.saturating_add(1)));
                let seconds = failed.saturating_mul(LOGIN_DELAY_SECONDS).min(LOGIN_DELAY_LIMIT_SECONDS);
                self.stage = Stage::AwaitDelay { until: self.now + Duration::from_secs(seconds), user };
            }
            LoginOutcome::Banned { seconds } => {
                let situation = Situation::Banned;
                self.push(Output::Event(Event::LoginRefused { user, situation }));
                let address = self.connection.peer.ip().to_string();
                self.say_goodbye(Reply::new(situation).with("address", address).with("seconds", seconds));
            }
        }
    }

    /// The refusal of a login was held back long enough.
    pub(super) fn refuse_login(&mut self, user: Vec<u8>) {
        self.stage = Stage::Idle;
        let last = self.timers.failed_logins >= LOGIN_ATTEMPTS;
        let situation = match last {
            true => Situation::LoginAttempts,
            // Said for every reason, so that it tells of none.
            false if self.could_begin_tls() => Situation::LoginRejectedInClear,
            false => Situation::LoginRejected,
        };
        self.push(Output::Event(Event::LoginRefused { user, situation }));
        if last {
            self.say_goodbye(Reply::new(situation).with("limit", u64::from(LOGIN_ATTEMPTS)));
        } else {
            self.answer(Verb::Pass, Reply::new(situation));
        }
    }
}
