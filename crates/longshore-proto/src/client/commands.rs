//! What the replies to commands mean that are no transfers: settings, the login, TLS, and single commands.
//!
//! Not inside: when they are written ([`schedule`](super::schedule)).

use super::dialogue::{Dialogue, Phase, Step};
use super::reply::{Class, Reply};
use super::values::{self, Features};
use super::write::{self, CommandLine, Unsendable};
use super::{Answer, Loss, ModeChoice, Protection, Refusal, Request, RequestId};
use crate::command::{Mode, Representation, Structure};
use crate::verbs::Verb;

/// What is known of the server and of what was set there.
#[derive(Debug)]
pub(super) struct Known {
    /// TYPE; `None` where it is not known.
    pub(super) representation: Option<Representation>,
    /// STRU.
    pub(super) structure: Option<Structure>,
    /// MODE.
    pub(super) mode: Option<Mode>,
    /// PROT.
    protection: Option<Protection>,
    /// Whether PBSZ was taken.
    buffer_size_set: bool,
    /// Whether TLS protects the control connection.
    tls: bool,
    /// Whether somebody has logged in.
    logged_in: bool,
    /// The answer to FEAT.
    pub(super) features: Option<Features>,
    /// Whether OPTS MODE Z KEEP 1 was taken.
    keeps_deflate: bool,
    /// Whether it was refused, although FEAT tells of it.
    refused_keep: bool,
    /// A mode that FEAT tells of and that was refused nevertheless.
    pub(super) refused_mode: Option<Mode>,
    /// EPSV is not known there, or its ports lead nowhere.
    pub(super) no_extended_passive: bool,
    /// EPRT is not known there.
    pub(super) no_extended_active: bool,
    /// Whether MLSD is known there, once it was tried.
    pub(super) facts: Option<bool>,
    /// A REST was taken whose transfer has not followed.
    pub(super) restart_is_set: bool,
}

/// How a server begins (RFC 959 section 5.1). TYPE is not among it, for some begin with I.
impl Default for Known {
    fn default() -> Known {
        Known {
            representation: None,
            structure: Some(Structure::File),
            mode: Some(Mode::Stream),
            protection: Some(Protection::Clear),
            buffer_size_set: false,
            tls: false,
            logged_in: false,
            features: None,
            keeps_deflate: false,
            refused_keep: false,
            refused_mode: None,
            no_extended_passive: false,
            no_extended_active: false,
            facts: None,
            restart_is_set: false,
        }
    }
}

/// What is set before a request where it is not set yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Representation(Representation),
    Structure(Structure),
    Mode(Mode),
    /// OPTS MODE Z KEEP 1.
    DeflateKeep,
    /// PBSZ 0.
    BufferSize,
    /// PROT.
    Protection(Protection),
}

impl Setting {
    pub(super) fn line(self) -> Result<CommandLine, Unsendable> {
        let argument = match self {
            Setting::Representation(representation) => representation.name(),
            Setting::Structure(structure) => structure.name(),
            Setting::Mode(mode) => mode.name(),
            Setting::DeflateKeep => "MODE Z KEEP 1",
            Setting::BufferSize => "0",
            Setting::Protection(Protection::Clear) => "C",
            Setting::Protection(Protection::Private) => "P",
        };
        write::command(self.verb().name(), Some(argument.as_bytes()))
    }

    fn verb(self) -> Verb {
        match self {
            Setting::Representation(_) => Verb::Type,
            Setting::Structure(_) => Verb::Stru,
            Setting::Mode(_) => Verb::Mode,
            Setting::DeflateKeep => Verb::Opts,
            Setting::BufferSize => Verb::Pbsz,
            Setting::Protection(_) => Verb::Prot,
        }
    }
}

impl Known {
    /// How the next data connection is protected: always where the control connection is.
    pub(super) fn wanted_protection(&self) -> Protection {
        if self.tls { Protection::Private } else { Protection::Clear }
    }

    /// What must be said before a transfer is protected as it should be (RFC 4217 section 9).
    pub(super) fn protections_to_set(&self) -> Vec<Setting> {
        let wanted = self.wanted_protection();
        let mut settings = Vec::new();
        if self.tls && self.protection != Some(wanted) {
            if !self.buffer_size_set {
                settings.push(Setting::BufferSize);
            }
            settings.push(Setting::Protection(wanted));
        }
        settings
    }

    /// Whether MLSD need not be tried.
    pub(super) fn lacks_facts(&self) -> bool {
        let unlisted = self.features.as_ref().is_some_and(|features| !features.has("MLST"));
        !self.facts.unwrap_or(!unlisted)
    }

    /// Whether MLSD may turn out not to be there.
    pub(super) fn doubts_facts(&self) -> bool {
        self.facts.is_none() && self.features.is_none()
    }

    /// Whether the server is to keep data connections in MODE Z open, and was not told so.
    pub(super) fn keep_to_set(&self, mode: Mode) -> bool {
        let offered = self.features.as_ref().is_some_and(Features::has_deflate_keep);
        mode == Mode::Deflate && offered && !self.keeps_deflate && !self.refused_keep
    }

    /// Whether a data connection stays open behind a file.
    pub(super) fn keeps_connection(&self, mode: Mode) -> bool {
        mode.keeps_connection() || (mode == Mode::Deflate && self.keeps_deflate)
    }

    /// What was set is not known any more.
    fn forget_settings(&mut self) {
        self.representation = None;
        self.structure = None;
        self.mode = None;
        self.keeps_deflate = false;
        self.protection = if self.tls { None } else { Some(Protection::Clear) };
        self.buffer_size_set = false;
    }

    fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Representation(representation) => self.representation = Some(representation),
            Setting::Structure(structure) => self.structure = Some(structure),
            Setting::Mode(mode) => self.mode = Some(mode),
            Setting::DeflateKeep => self.keeps_deflate = true,
            Setting::BufferSize => self.buffer_size_set = true,
            Setting::Protection(protection) => self.protection = Some(protection),
        }
    }
}

impl Dialogue {
    /// An answer to what a request needs.
    pub(super) fn setting_answered(&mut self, id: RequestId, setting: Setting, reply: Reply) {
        let is_taken = reply.class() == Class::Completion;
        if is_taken {
            self.known.set(setting);
            if matches!(setting, Setting::Mode(_) | Setting::DeflateKeep | Setting::Protection(_)) {
                self.close_link();
            }
        }
        let is_protecting = matches!(self.tasks.get(id).map(|task| &task.request), Some(Request::StartTls));
        match setting {
            _ if is_protecting => self.go_on_protecting(id, is_taken),
            _ if is_taken => {}
            // Each file then has a data connection of its own.
            Setting::DeflateKeep => self.known.refused_keep = true,
            Setting::Mode(mode)
                if matches!(self.options.mode, ModeChoice::Prefer(_)) && mode != Mode::Stream =>
            {
                self.known.refused_mode = Some(mode);
            }
            setting => self.refuse(id, setting.verb().name(), reply),
        }
    }

    /// FEAT was answered, for a request of its own or to learn of modes.
    pub(super) fn features_answered(&mut self, id: Option<RequestId>, reply: Reply) {
        let is_taken = reply.class() == Class::Completion;
        // A server that knows no FEAT has no extension worth trying.
        let features = if is_taken { Features::parse(&reply) } else { Features::default() };
        self.known.features = Some(features.clone());
        match id {
            Some(id) if is_taken => self.finish(id, Ok(Answer::Features(features))),
            Some(id) => self.refuse(id, Verb::Feat.name(), reply),
            None => {}
        }
    }

    /// RNFR was answered.
    pub(super) fn rename_answered(&mut self, id: RequestId, reply: Reply) {
        let to = match self.tasks.get(id).map(|task| &task.request) {
            Some(Request::Rename { to, .. }) => write::command(Verb::Rnto.name(), Some(to)),
            _ => return,
        };
        // Only behind a 350: a server may remember an older RNFR, and would rename another file.
        match reply.class() {
            Class::Intermediate => self.write_or_refuse(id, Step::Main(Verb::Rnto), to, true),
            _ => self.refuse(id, Verb::Rnfr.name(), reply),
        }
    }

    /// USER, PASS or ACCT was answered.
    pub(super) fn login_answered(&mut self, id: RequestId, verb: Verb, reply: Reply) {
        let (password, account) = match self.tasks.get(id).map(|task| &task.request) {
            Some(Request::Login { password, account, .. }) => (password.clone(), account.clone()),
            _ => return,
        };
        match (reply.class(), reply.code, verb, account) {
            (Class::Completion, ..) => {
                // Another user begins anew; the first one finds what was set before.
                if std::mem::replace(&mut self.known.logged_in, true) {
                    self.known.forget_settings();
                }
                self.known.features = None;
                self.finish(id, Ok(Answer::LoggedIn(reply)));
            }
            (_, 331, Verb::User, _) => {
                let line = write::secret(Verb::Pass.name(), &password.0);
                self.write_or_refuse(id, Step::LogIn(Verb::Pass), line, true);
            }
            (_, 332, Verb::User | Verb::Pass, Some(account)) => {
                let line = write::secret(Verb::Acct.name(), &account.0);
                self.write_or_refuse(id, Step::LogIn(Verb::Acct), line, true);
            }
            _ => self.refuse(id, verb.name(), reply),
        }
    }

    /// AUTH was answered.
    pub(super) fn protect_answered(&mut self, id: RequestId, reply: Reply) {
        match reply.class() {
            Class::Completion => self.begin_tls(Some(id)),
            _ => self.refuse(id, Verb::Auth.name(), reply),
        }
    }

    /// TLS protects the control connection from here on, and what was known came in clear.
    pub(super) fn tls_is_up(&mut self, request: Option<RequestId>) {
        self.known = Known { tls: true, ..Known::default() };
        // An implicit server may begin with either.
        self.known.protection = request.map(|_| Protection::Clear);
        if let Some(id) = request {
            self.go_on_protecting(id, true);
        } else if let Phase::Greeting(since) = &mut self.phase {
            *since = self.now;
        }
    }

    /// PBSZ, then PROT; a server that takes them after the login only is asked again before the first transfer.
    fn go_on_protecting(&mut self, id: RequestId, is_taken: bool) {
        match self.known.protections_to_set().first().copied() {
            Some(setting) if is_taken => {
                self.write_or_refuse(id, Step::Set(setting), setting.line(), true);
            }
            setting => self.finish(id, Ok(Answer::Protected { data: setting.is_none() })),
        }
    }

    /// The command that does what was asked was answered for good, and is no transfer.
    pub(super) fn main_answered(&mut self, id: RequestId, reply: Reply) {
        let Some(task) = self.tasks.get(id) else { return };
        let is_done = reply.class() == Class::Completion;
        let unreadable = |command: &'static str, reply: Reply| Err(Refusal::Unreadable { command, reply });
        let result = match &task.request {
            Request::Raw(_) => {
                self.known.forget_settings();
                Ok(Answer::Done(reply))
            }
            Request::Features => return self.features_answered(Some(id), reply),
            Request::Quit => return self.quit_answered(id, Some(reply)),
            request if !is_done => Err(Refusal::Replied { command: name(request), reply }),
            Request::MakeDirectory(path) => {
                Ok(Answer::Directory(values::parse_directory(&reply).unwrap_or_else(|| path.clone())))
            }
            Request::CurrentDirectory => match values::parse_directory(&reply) {
                Some(path) => Ok(Answer::Directory(path)),
                None => unreadable(Verb::Pwd.name(), reply),
            },
            Request::Size(_) => match values::parse_size(&reply) {
                Some(size) => Ok(Answer::Size(size)),
                None => unreadable(Verb::Size.name(), reply),
            },
            Request::Modified(_) => match values::parse_modified(&reply) {
                Some(time) => Ok(Answer::Modified(time)),
                None => unreadable(Verb::Mdtm.name(), reply),
            },
            _ => Ok(Answer::Done(reply)),
        };
        self.finish(id, result);
    }

    /// The end that was asked for.
    pub(super) fn quit_answered(&mut self, id: RequestId, reply: Option<Reply>) {
        self.finish(id, Ok(Answer::Closed(reply)));
        self.lose(Loss::Quit);
    }

    pub(super) fn refuse(&mut self, id: RequestId, command: &'static str, reply: Reply) {
        self.finish(id, Err(Refusal::Replied { command, reply }));
    }
}

/// The command of a request that is no transfer.
fn name(request: &Request) -> &'static str {
    match request {
        Request::ChangeDirectory(_) => "CWD",
        Request::CurrentDirectory => "PWD",
        Request::MakeDirectory(_) => "MKD",
        Request::RemoveDirectory(_) => "RMD",
        Request::RemoveFile(_) => "DELE",
        Request::Rename { .. } => "RNTO",
        Request::Size(_) => "SIZE",
        Request::Modified(_) => "MDTM",
        Request::SetModified(..) => "MFMT",
        Request::Noop => "NOOP",
        _ => "the command",
    }
}
