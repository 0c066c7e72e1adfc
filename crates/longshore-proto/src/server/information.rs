//! What the session tells of itself: STAT, SITE QUOTA, FEAT, HELP.
//!
//! Not inside: what it tells of files, which storage knows.

use longshore_path::VirtualPath;

use super::arrangement::Route;
use super::login::Login;
use super::session::{Session, Stage};
use super::settings::Settings;
use super::{QuotaStatus, StorageOutcome};
use crate::command::DEFLATE_KEEP_FEATURE;
use crate::reply::{Reply, Situation};
use crate::verbs::{VERBS, Verb};

impl Session {
    /// The answer to STAT without an argument (RFC 959 section 4.1.3), with the bytes that have moved so far.
    pub(super) fn status(&self, bytes: Option<u64>) -> Reply {
        self.status_with(bytes, Vec::new())
    }

    fn status_with(&self, bytes: Option<u64>, more: Vec<Vec<u8>>) -> Reply {
        let mut lines = vec![format!("connected from {} to {}", self.connection.peer, self.connection.local)];
        lines.push(match &self.login {
            Login::In(login) => format!("logged in as {}, in {}", login.account, login.directory),
            Login::Out { .. } => "not logged in".to_owned(),
        });
        let Settings { representation, structure, mode, .. } = &self.settings;
        lines.push(format!(
            "TYPE {}, STRU {}, MODE {}",
            representation.name(),
            structure.name(),
            mode.name()
        ));
        lines.push(self.shield.status());
        lines.push(match (&self.stage, self.arrangement.route()) {
            (Stage::Transfer(transfer), _) => {
                format!(
                    "{} {}: {} bytes moved so far",
                    transfer.verb().name(),
                    transfer.path(),
                    bytes.unwrap_or(transfer.bytes())
                )
            }
            (_, Ok(_)) if self.arrangement.is_kept() => {
                "a data connection stays open for the next transfer".to_owned()
            }
            (_, Ok(Route::Passive { port })) => format!("passive port {port} waits for a data connection"),
            (_, Ok(Route::Active { to })) => format!("the data connection will go to {to}"),
            (_, Err(_)) => "no data connection is arranged".to_owned(),
        });
        let lines = lines.into_iter().map(String::into_bytes).chain(more).collect();
        Reply::new(Situation::Status).with_lines(lines)
    }

    pub(super) fn answer_quota(&mut self, verb: Verb, outcome: StorageOutcome) {
        let lines: Vec<Vec<u8>> = match outcome {
            StorageOutcome::Quota(Some(quota)) => quota_lines(quota).into(),
            StorageOutcome::Failed(_) if verb == Verb::Stat => {
                vec![b"quota: cannot be told at the moment".to_vec()]
            }
            StorageOutcome::Failed(failure) => {
                let root = VirtualPath::root();
                let reply = self.failure(verb, failure, &root);
                return self.answer(verb, reply);
            }
            _ => vec![b"quota: none".to_vec()],
        };
        let reply = if verb == Verb::Stat {
            self.status_with(None, lines)
        } else {
            let account = match &self.login {
                Login::In(login) => login.account.clone(),
                Login::Out { .. } => String::new(),
            };
            Reply::new(Situation::Quota).with("account", account).with_lines(lines)
        };
        self.answer(verb, reply);
    }

    pub(super) fn features(&self) -> Vec<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = VERBS
            .iter()
            .filter(|row| self.offers(row.verb))
            .filter_map(|row| row.feature.map(Vec::from))
            .collect();
        let mut facts = Vec::new();
        self.settings.facts.write_feature(&mut facts);
        lines.push(facts);
        lines.extend([b"MODE B".to_vec(), b"MODE C".to_vec()]);
        if self.policy.deflate {
            // In a line of its own: some clients take whatever stands behind MODE Z for parameters of the draft.
            lines.extend([b"MODE Z".to_vec(), DEFLATE_KEEP_FEATURE.to_vec()]);
        }
        lines.push(b"TVFS".to_vec());
        lines.push(b"UTF8".to_vec());
        lines.sort();
        lines
    }
}

fn quota_lines(quota: QuotaStatus) -> [Vec<u8>; 2] {
    let line = |used: u64, limit: Option<u64>, of: &str| {
        let line = match limit {
            Some(limit) => {
                format!("quota: {used} of {limit} {of} used, {} left", limit.saturating_sub(used))
            }
            None => format!("quota: {used} {of} used, no limit"),
        };
        line.into_bytes()
    };
    [line(quota.bytes, quota.limit_bytes, "bytes"), line(quota.files, quota.limit_files, "files")]
}

impl Session {
    /// The answer to HELP, or to HELP with a command.
    pub(super) fn help(&self, name: Option<&[u8]>) -> Reply {
        let offered = |verb: &Verb| self.offers(*verb);
        let Some(name) = name else {
            let names: Vec<&str> =
                VERBS.iter().filter(|row| offered(&row.verb)).map(|row| row.name()).collect();
            let lines = names.chunks(10).map(|names| names.join(" ").into_bytes()).collect();
            return Reply::new(Situation::HelpList).with_lines(lines);
        };
        match Verb::find(name.trim_ascii()).filter(offered) {
            Some(known) => Reply::new(Situation::HelpVerb)
                .with("syntax", known.row().syntax)
                .with("help", known.row().help),
            None => Reply::new(Situation::HelpUnknown).with("verb", name.to_vec()),
        }
    }
}
