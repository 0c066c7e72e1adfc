//! What is written next: the first request that waits, what it needs before its command, and whether that may go out
//! before earlier answers have come.
//!
//! Not inside: what the answers do.
//!
//! Whatever a request needs (a setting, a data connection, REST) is written when nothing else is under way, and no request
//! is written behind it before its answer: a transfer that ran under a setting that was refused would damage the file.
//! Sent ahead are single commands behind single commands, transfers behind either over a data connection that several
//! share, and all settings of a request with EPSV behind them.

use super::commands::Setting;
use super::dialogue::{Awaits, Dialogue, Phase, Stage, Step, Task};
use super::write::{self, CommandLine, Unsendable};
use super::{FileForm, ListForm, ModeChoice, Refusal, Request, RequestId, RouteChoice, StoreStart};
use crate::command::{Mode, Representation, Structure};
use crate::time::write_time_val;
use crate::verbs::{Direction, Verb};

/// What a request needs next.
enum Need {
    /// This command first.
    Command(Step, Result<CommandLine, Unsendable>),
    /// These settings first, at least one, and then a data connection, or not.
    Settings(Vec<Setting>, Then),
    /// A data connection first.
    Link,
    /// Nothing.
    Nothing,
}

/// What comes behind settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Link,
    /// That is seen when they are answered.
    Wait,
}

impl Dialogue {
    /// Writes the next command, or begins something else; whether there was something to do.
    pub(super) fn proceed(&mut self) -> bool {
        if self.phase != Phase::Ready || self.awaits != Awaits::Nothing || self.wire.is_barred() {
            return false;
        }
        let Some(id) = self.tasks.first_waiting() else { return false };
        let task = self.tasks.get(id).expect("it waits");
        if task.aborted {
            self.finish(id, Err(Refusal::Aborted { bytes: 0, reply: None }));
            return true;
        }
        let (verb, line) = match self.main_command(task) {
            Ok(command) => command,
            Err(error) => {
                self.finish(id, Err(error.into()));
                return true;
            }
        };
        let is_transfer = verb.row().transfer.is_some();
        let is_quiet = self.wire.is_empty() && self.tasks.flights == 0;
        match self.need(task, verb) {
            Need::Nothing if is_transfer => self.write_transfer(id, verb, line),
            Need::Nothing if self.stands_alone(id) => {
                if is_quiet {
                    self.begin_alone(id, verb, line);
                }
                is_quiet
            }
            Need::Nothing => {
                let ahead = self.options.ahead;
                let may = self.tasks.flights == 0
                    && self.wire.has_room(ahead.commands, ahead.bytes, line.bytes().len());
                if may {
                    self.set_stage(id, Stage::Written);
                    self.write(id, Step::Main(verb), line, false);
                }
                may
            }
            _ if !is_quiet => false,
            Need::Command(step, line) => {
                self.write_or_refuse(id, step, line, true);
                true
            }
            Need::Settings(settings, then) => {
                self.write_settings(id, &settings, then);
                true
            }
            Need::Link => {
                self.arrange(id);
                true
            }
        }
    }

    /// The settings of a request, and what it needs behind them: all at once where commands may go ahead.
    fn write_settings(&mut self, id: RequestId, settings: &[Setting], then: Then) {
        let together = self.options.ahead.commands;
        for &setting in settings.iter().take(together) {
            self.write_or_refuse(id, Step::Set(setting), setting.line(), true);
        }
        let is_passive = self.options.route == RouteChoice::Passive;
        if then == Then::Link && is_passive && settings.len() < together {
            self.arrange(id);
        }
    }

    /// Requests of several commands, and those behind which everything may be different.
    fn stands_alone(&self, id: RequestId) -> bool {
        let request = self.tasks.get(id).map(|task| &task.request);
        matches!(
            request,
            Some(
                Request::Login { .. }
                    | Request::StartTls
                    | Request::Rename { .. }
                    | Request::Quit
                    | Request::Raw(_)
            )
        )
    }

    fn begin_alone(&mut self, id: RequestId, verb: Verb, line: CommandLine) {
        let step = match verb {
            Verb::User => Step::LogIn(verb),
            Verb::Auth => Step::Protect,
            Verb::Rnfr => Step::RenameFrom,
            verb => Step::Main(verb),
        };
        if !matches!(step, Step::RenameFrom) {
            self.close_link();
        }
        self.set_stage(id, Stage::Written);
        self.write(id, step, line, true);
    }

    /// The command that does what is asked, or the first of several.
    fn main_command(&self, task: &Task) -> Result<(Verb, CommandLine), Unsendable> {
        let (verb, argument): (Verb, Option<&[u8]>) = match &task.request {
            Request::Login { user, password, account } => {
                // A password that cannot be sent is no reason to send half of the login.
                write::secret("PASS", &password.0)?;
                if let Some(account) = account {
                    write::secret("ACCT", &account.0)?;
                }
                (Verb::User, Some(user))
            }
            Request::StartTls => (Verb::Auth, Some(b"TLS")),
            Request::Features => (Verb::Feat, None),
            Request::ChangeDirectory(path) => (Verb::Cwd, Some(path)),
            Request::CurrentDirectory => (Verb::Pwd, None),
            Request::MakeDirectory(path) => (Verb::Mkd, Some(path)),
            Request::RemoveDirectory(path) => (Verb::Rmd, Some(path)),
            Request::RemoveFile(path) => (Verb::Dele, Some(path)),
            Request::Rename { from, to } => {
                write::command("RNTO", Some(required(to)?))?;
                (Verb::Rnfr, Some(from))
            }
            Request::Size(path) => (Verb::Size, Some(path)),
            Request::Modified(path) => (Verb::Mdtm, Some(path)),
            Request::SetModified(path, time) => {
                let mut argument = Vec::with_capacity(path.len() + 15);
                write_time_val(&mut argument, *time);
                argument.push(b' ');
                argument.extend_from_slice(required(path)?);
                return Ok((Verb::Mfmt, write::command("MFMT", Some(&argument))?));
            }
            Request::List { form, path } => {
                let verb = match form {
                    ListForm::Long => Verb::List,
                    ListForm::Names => Verb::Nlst,
                    ListForm::Facts if self.known.lacks_facts() => Verb::List,
                    ListForm::Facts => Verb::Mlsd,
                };
                (verb, path.as_deref())
            }
            Request::Retrieve { path, .. } => (Verb::Retr, Some(path)),
            Request::Store { path, start: StoreStart::Append, .. } => (Verb::Appe, Some(path)),
            Request::Store { path, .. } => (Verb::Stor, Some(path)),
            Request::Noop => (Verb::Noop, None),
            Request::Quit => (Verb::Quit, None),
            Request::Raw(line) => {
                let verb = Verb::find(crate::command::split(line).0);
                if verb.is_some_and(has_effects_of_its_own) {
                    return Err(Unsendable::NotRaw);
                }
                return Ok((verb.unwrap_or(Verb::Noop), write::raw(line)?));
            }
        };
        let argument = argument.map(required).transpose()?;
        Ok((verb, write::command(verb.name(), argument)?))
    }

    fn need(&self, task: &Task, verb: Verb) -> Need {
        let form = match &task.request {
            Request::Size(_) if self.known.representation != Some(Representation::Image) => {
                let octets = Setting::Representation(Representation::Image);
                return Need::Settings(vec![octets], Then::Wait);
            }
            Request::List { .. } => {
                let representation = Representation::Ascii;
                FileForm { representation, structure: Structure::File }
            }
            Request::Retrieve { form, .. } | Request::Store { form, .. } => *form,
            _ => return Need::Nothing,
        };
        let protections = self.known.protections_to_set();
        if !protections.is_empty() {
            return Need::Settings(protections, Then::Wait);
        }
        if self.asks_for_features() && self.known.features.is_none() {
            return Need::Command(Step::Learn, write::command("FEAT", None));
        }
        let settings = self.settings_for(form);
        if !settings.is_empty() {
            let closes = |setting: &Setting| matches!(setting, Setting::Mode(_) | Setting::DeflateKeep);
            let stands = self.has_link_for(task) && !settings.iter().any(closes);
            return Need::Settings(settings, if stands { Then::Wait } else { Then::Link });
        }
        if !self.has_link_for(task) {
            return Need::Link;
        }
        let offset = offset(&task.request);
        // A REST whose transfer did not follow would count for this one.
        if !task.restarted && (offset > 0 || self.known.restart_is_set) {
            return Need::Command(Step::Restart, write::command("REST", Some(offset.to_string().as_bytes())));
        }
        debug_assert!(verb.row().transfer.is_some());
        Need::Nothing
    }

    /// What must be set for a transfer, beside its protection.
    fn settings_for(&self, form: FileForm) -> Vec<Setting> {
        let mode = self.wanted_mode();
        let mut settings = Vec::new();
        if self.known.representation != Some(form.representation) {
            settings.push(Setting::Representation(form.representation));
        }
        if self.known.structure != Some(form.structure) {
            settings.push(Setting::Structure(form.structure));
        }
        if self.known.mode != Some(mode) {
            settings.push(Setting::Mode(mode));
        }
        if self.known.keep_to_set(mode) {
            settings.push(Setting::DeflateKeep);
        }
        settings
    }

    /// Whether FEAT decides how the next transfer goes: which mode, and whether MODE Z keeps data connections.
    fn asks_for_features(&self) -> bool {
        matches!(self.options.mode, ModeChoice::Prefer(_) | ModeChoice::Insist(Mode::Deflate))
    }

    /// What MODE should be for the next transfer.
    pub(super) fn wanted_mode(&self) -> Mode {
        match self.options.mode {
            ModeChoice::Stream => Mode::Stream,
            ModeChoice::Insist(mode) => mode,
            ModeChoice::Prefer(mode) => {
                let offered = self.known.features.as_ref().is_some_and(|features| features.has_mode(mode));
                if offered && self.known.refused_mode != Some(mode) { mode } else { Mode::Stream }
            }
        }
    }
}

/// The first octet that a transfer moves.
pub(super) fn offset(request: &Request) -> u64 {
    match request {
        Request::Retrieve { offset, .. } | Request::Store { start: StoreStart::At(offset), .. } => *offset,
        _ => 0,
    }
}

/// Which way the file goes, seen from us.
pub(super) fn is_upload(verb: Verb) -> bool {
    verb.row().transfer == Some(Direction::Receive)
}

fn required(argument: &[u8]) -> Result<&[u8], Unsendable> {
    if argument.is_empty() { Err(Unsendable::Empty) } else { Ok(argument) }
}

/// Whether a command does what the dialogue would have to know of, or what needs a request that can carry it out.
fn has_effects_of_its_own(verb: Verb) -> bool {
    let arranges = matches!(verb, Verb::Pasv | Verb::Epsv | Verb::Port | Verb::Eprt);
    let enters = matches!(verb, Verb::User | Verb::Pass | Verb::Rein | Verb::Auth | Verb::Ccc | Verb::Quit);
    let pairs = matches!(verb, Verb::Rest | Verb::Rnfr | Verb::Rnto | Verb::Abor);
    verb.row().transfer.is_some() || arranges || enters || pairs
}
