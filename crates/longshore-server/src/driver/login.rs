//! Logging in: who may, with which files, among how many, and what follows when somebody may not.
//!
//! Not inside: whether a password is right, and what the client is told.

use std::sync::Arc;

use longshore_accounts::{Account, Attempt, Rejection, TlsNeed, Verdict};
use longshore_proto::server::{Credential, Input, LoginOutcome, LoginRequest, OperationId};
use tokio::time::Instant;

use super::{Done, Driver};
use crate::bandwidth::Pace;
use crate::convert::{self, Tenant};
use crate::events::EventKind;
use crate::server::Active;
use crate::work::Quickness;

impl Driver {
    /// Asks the accounts, unless the address is banned: then nobody looks at the password.
    pub(super) fn begin_login(&mut self, id: OperationId, request: LoginRequest) {
        let peer = self.session.connection().peer.ip();
        let active = self.shared.active();
        if let Some(left) = self.shared.defence.banned(peer, &active.config.limits, Instant::now()) {
            let seconds = left.as_secs().max(1);
            return self.hand_in(Input::Login(id, LoginOutcome::Banned { seconds }));
        }
        let password = match request.credential {
            Credential::Password(password) => Some(password.0),
            Credential::Certificate => None,
        };
        let by_certificate = password.is_none();
        let attempt = Attempt {
            secure: self.shield.is_up(),
            week_minute: convert::week_minute(convert::now()),
            ..Attempt::new(request.user, password.unwrap_or_default(), peer)
        };
        if by_certificate {
            let shown = self.shield.certificate();
            let account = shown.and_then(|shown| active.config.accounts.by_certificate(&attempt, shown));
            let settled = account.and_then(|account| self.settle_in(account, &active).ok());
            // The password is asked for next, and its failure is the one that counts.
            let outcome = settled.unwrap_or(LoginOutcome::Rejected { earlier: 0 });
            return self.hand_in(Input::Login(id, outcome));
        }
        let shared = self.shared.clone();
        self.work = Some(Box::pin(async move {
            let answer = active.config.accounts.authenticate(attempt);
            let verdict = shared.pool.judge(answer).await;
            Done::Login { id, verdict, active }
        }));
    }

    /// `active` is the configuration whose accounts have judged: its files and limits go with them, whatever has been
    /// loaded since.
    pub(super) fn logged_in(&mut self, verdict: Verdict, active: &Active) -> LoginOutcome {
        let rejection = match verdict.and_then(|account| self.settle_in(account, active)) {
            Ok(outcome) => return outcome,
            Err(rejection) => rejection,
        };
        self.reading.rejection = Some(rejection);
        let (address, limits) = (self.session.connection().peer.ip(), &active.config.limits);
        if !rejection.is_guess() {
            // Held back as long as a guess would be, or the time would tell that the password was right.
            let earlier = self.shared.defence.failures(address, limits, Instant::now());
            return LoginOutcome::Rejected { earlier };
        }
        let failed = self.shared.defence.login_failed(address, limits, Instant::now());
        if failed.banned {
            self.tell(EventKind::Banned { address, duration: limits.ban });
        }
        LoginOutcome::Rejected { earlier: failed.earlier }
    }

    /// An account whose password was right: finds its files, its place among its sessions, and its limits.
    fn settle_in(&mut self, account: Account, active: &Active) -> Result<LoginOutcome, Rejection> {
        let rules = account.tls.within(self.shield.base(active.config.tls_rules()));
        let need = rules.need.unwrap_or_default();
        if need >= TlsNeed::Login && !self.shield.is_up() {
            return Err(Rejection::InClear);
        }
        let backend = active.config.trees.of(&account).ok_or(Rejection::Unavailable)?;
        let (crew, account) = self.shared.seats.join(account)?;
        let (limits, rates) = (&account.limits, &active.config.limits.rates);
        let either = |own: Option<u64>, all: Option<std::num::NonZeroU64>| own.or(all.map(Into::into));
        let pace = Pace::new(
            either(limits.session_upload_bytes_per_second, rates.session_upload),
            either(limits.session_download_bytes_per_second, rates.session_download),
        );
        let outcome = LoginOutcome::Accepted {
            account: account.name.clone(),
            directory: account.directory.clone(),
            quota: limits.quota_bytes.is_some() || limits.quota_files.is_some(),
            need: convert::need(need),
        };
        self.shield.set_rules(rules);
        let durability = active.config.durability;
        self.tenant =
            Some(Arc::new(Tenant { account, crew, pace, backend, durability, jobs: Quickness::default() }));
        Ok(outcome)
    }
}
