//! What each command does, transfers excepted.
//!
//! Not inside: whether a command may be said now: that was read off its row before it comes here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use longshore_path::VirtualPath;

use super::arrangement::Route;
use super::login::Login;
use super::session::{Session, Stage, Then};
use super::settings::{Pair, Restart};
use super::{DataEvent, DataOp, Ending, Event, Output, StorageOp, StorageOutcome, UploadStart};
use crate::address::{self, Eprt, EpsvArgument};
use crate::command::{Command, Mode, Options, Site};
use crate::limits::{ACTIVE_PORT_MINIMUM, STATUS_LIMIT_ENTRIES};
use crate::reply::{Reply, Situation};
use crate::time::{UnixTime, write_time_val};
use crate::verbs::Verb;

impl Session {
    pub(super) fn execute(&mut self, verb: Verb, command: Command, pair: Pair, restart: Restart) {
        match command {
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(pair, password),
            Command::Acct => self.answer(verb, Reply::new(Situation::AccountSuperfluous)),
            Command::Rein => self.rein(),
            Command::Auth(mechanism) => self.auth(mechanism),
            Command::Pbsz => self.pbsz(),
            Command::Prot(level) => self.prot(level),
            Command::Ccc => self.ccc(),
            Command::Quit => {
                self.answer(verb, Reply::new(Situation::Goodbye));
                self.close(Ending::Quit);
            }
            Command::Cwd(raw) => self.enter(verb, &raw),
            Command::Cdup => self.enter(verb, b".."),
            Command::Pwd => {
                let path = quoted(self.directory());
                self.answer(verb, Reply::new(Situation::CurrentDirectory).with("path", path));
            }
            Command::Mkd(raw) => {
                self.change(verb, &raw, Situation::DirectoryMade, StorageOp::MakeDirectory);
            }
            Command::Rmd(raw) => {
                self.change(verb, &raw, Situation::DirectoryRemoved, StorageOp::RemoveDirectory);
            }
            Command::Dele(raw) => self.change(verb, &raw, Situation::FileRemoved, StorageOp::RemoveFile),
            Command::Rnfr(raw) => {
                if let Some(path) = self.path(verb, &raw) {
                    let then = Then::RememberSource { path: path.clone() };
                    self.ask_storage(verb, StorageOp::RenameFrom(path), then);
                }
            }
            Command::Rnto(raw) => {
                let Pair::RenameFrom(from) = pair else {
                    return self.answer(verb, Reply::new(Situation::RntoWithoutRnfr));
                };
                if let Some(to) = self.path(verb, &raw) {
                    let then = Then::AnswerRename { from: from.clone(), to: to.clone() };
                    self.ask_storage(verb, StorageOp::Rename { from, to }, then);
                }
            }
            Command::Type(representation, format) => {
                self.settings.representation = representation;
                self.answer(verb, Reply::new(Situation::TypeSet).with("value", format.name(representation)));
            }
            Command::Stru(structure) => {
                self.settings.structure = structure;
                self.answer(verb, Reply::new(Situation::StructureSet).with("value", structure.name()));
            }
            Command::Mode(mode) => self.mode(verb, mode),
            Command::Port(to) => self.arrange_active(verb, to.into()),
            Command::Eprt(eprt) => match eprt {
                Eprt::Address(to) => self.arrange_active(verb, to),
                Eprt::UnsupportedProtocol(_) => self.answer(verb, self.family_not_offered()),
            },
            Command::Pasv => self.arrange_passive(verb),
            Command::Epsv(argument) => self.epsv(verb, argument),
            Command::Retr(raw) => self.begin_retrieve(verb, &raw, restart),
            Command::Stor(raw) => self.begin_upload(verb, &raw, UploadStart::Replace, restart),
            Command::Stou(raw) => {
                let wish = raw.unwrap_or_else(|| b"upload".to_vec());
                self.begin_upload(verb, &wish, UploadStart::Unique, Restart::None);
            }
            Command::Appe(raw) => self.begin_upload(verb, &raw, UploadStart::Append, restart),
            Command::List(raw) | Command::Nlst(raw) | Command::Mlsd(raw) => self.begin_listing(verb, raw),
            Command::Allo(bytes) => {
                let op = StorageOp::FreeSpace(self.directory().clone());
                self.ask_storage(verb, op, Then::AnswerSpace { bytes });
            }
            Command::Rest(offset) => {
                self.settings.restart = if offset == 0 { Restart::None } else { Restart::At(offset) };
                self.answer(verb, Reply::new(Situation::RestartAccepted).with("offset", offset));
            }
            Command::Abor => {
                let did_something = self.abort_did_something();
                let idle = self.arrangement.route().is_err() && !did_something;
                let held = self.arrangement.close();
                self.let_go(held);
                let situation = if idle { Situation::NothingToAbort } else { Situation::Aborted };
                self.answer(verb, Reply::new(situation));
            }
            Command::Mlst(raw) => self.mlst(verb, raw),
            Command::Stat(None) if matches!(&self.login, Login::In(login) if login.quota) => {
                self.ask_storage(verb, StorageOp::Quota, Then::AnswerQuota);
            }
            Command::Stat(None) => {
                let reply = self.status(None);
                self.answer(verb, reply);
            }
            Command::Stat(Some(raw)) => {
                if let Some(path) = self.path(verb, &raw) {
                    let then = Then::Answer { situation: Situation::StatusFile, path: path.clone() };
                    self.ask_storage(verb, StorageOp::StatusListing(path), then);
                }
            }
            Command::Size(raw) => {
                let Some(path) = self.path(verb, &raw) else { return };
                if self.settings.representation.is_text() {
                    return self.answer(verb, Reply::new(Situation::SizeAscii).with("path", &path));
                }
                let then = Then::Answer { situation: Situation::Size, path: path.clone() };
                self.ask_storage(verb, StorageOp::Size(path), then);
            }
            Command::Mdtm(raw) => {
                if let Some(path) = self.path(verb, &raw) {
                    let then = Then::Answer { situation: Situation::Modified, path: path.clone() };
                    self.ask_storage(verb, StorageOp::Modified(path), then);
                }
            }
            Command::Mfmt(time, raw) => {
                if let Some(path) = self.path(verb, &raw) {
                    let then = Then::AnswerTime { path: path.clone(), time };
                    self.ask_storage(verb, StorageOp::SetModified(path, time), then);
                }
            }
            Command::Feat => {
                let lines = self.features();
                self.answer(verb, Reply::new(Situation::Features).with_lines(lines));
            }
            Command::Opts(options) => self.opts(verb, options),
            Command::Syst => self.answer(verb, Reply::new(Situation::System)),
            Command::Help(name) => {
                let reply = self.help(name.as_deref());
                self.answer(verb, reply);
            }
            Command::Site(Site::Help) => self.answer(verb, Reply::new(Situation::HelpSite)),
            Command::Site(Site::Chmod(mode, raw)) => {
                if let Some(path) = self.path(verb, &raw) {
                    let then = Then::AnswerMode { path: path.clone(), mode };
                    self.ask_storage(verb, StorageOp::SetMode(path, mode), then);
                }
            }
            Command::Site(Site::Quota) => self.ask_storage(verb, StorageOp::Quota, Then::AnswerQuota),
            Command::Site(Site::Unknown(command)) => {
                self.answer(verb, Reply::new(Situation::SiteUnknown).with("command", command));
            }
            Command::Noop => self.answer(verb, Reply::new(Situation::Noop)),
            Command::Clnt(name) => {
                self.push(Output::Event(Event::ClientNamed { name }));
                self.answer(verb, Reply::new(Situation::ClientNoted));
            }
            Command::NotOffered => {
                self.answer(verb, Reply::new(Situation::NotOffered).with("verb", verb.name()));
            }
        }
    }

    pub(super) fn directory(&self) -> &VirtualPath {
        match &self.login {
            Login::In(login) => &login.directory,
            Login::Out { .. } => unreachable!("the table lets no command with a path come before the login"),
        }
    }

    /// A path as it can be named from the current directory: its last name there, else all of it.
    pub(super) fn shortest_name(&self, path: &VirtualPath) -> Vec<u8> {
        match path.file_name() {
            Some(name) if path.parent().as_ref() == Some(self.directory()) => name.to_vec(),
            _ => path.as_bytes().to_vec(),
        }
    }

    /// The absolute path; a refusal has been said when there is none.
    pub(super) fn path(&mut self, verb: Verb, raw: &[u8]) -> Option<VirtualPath> {
        match self.resolve(verb, raw) {
            Ok(path) => Some(path),
            Err(reply) => {
                self.answer(verb, reply);
                None
            }
        }
    }

    fn enter(&mut self, verb: Verb, raw: &[u8]) {
        if let Some(path) = self.path(verb, raw) {
            let then = Then::Enter { path: path.clone() };
            self.ask_storage(verb, StorageOp::ChangeDirectory(path), then);
        }
    }

    fn change(&mut self, verb: Verb, raw: &[u8], situation: Situation, op: fn(VirtualPath) -> StorageOp) {
        if let Some(path) = self.path(verb, raw) {
            self.ask_storage(verb, op(path.clone()), Then::Answer { situation, path });
        }
    }

    fn arrange_active(&mut self, verb: Verb, to: SocketAddr) {
        let peer = self.connection.peer.ip();
        // lftp names `::` in EPRT when it means "where I connect from"; no other host can be reached by it.
        let named = to.ip().to_canonical();
        let meant = if named.is_unspecified() && named.is_ipv4() == peer.is_ipv4() { peer } else { named };
        let to = SocketAddr::new(meant, to.port());
        let reply = if self.settings.epsv_all {
            Reply::new(Situation::EpsvAll).with("verb", verb.name())
        } else if verb == Verb::Eprt && named.is_ipv4() != peer.is_ipv4() {
            self.family_not_offered()
        } else if to.ip() != peer && !self.policy.foreign_addresses {
            Reply::new(Situation::ForeignAddress).with("address", peer.to_string())
        } else if to.port() < ACTIVE_PORT_MINIMUM {
            Reply::new(Situation::LowPort).with("minimum", ACTIVE_PORT_MINIMUM)
        } else {
            let held = self.arrangement.arrange(Route::Active { to }, None);
            self.let_go(held);
            Reply::new(Situation::Active).with("address", to.to_string())
        };
        self.answer(verb, reply);
    }

    fn mode(&mut self, verb: Verb, mode: Mode) {
        if mode == Mode::Deflate && !self.policy.deflate {
            let reply = Reply::new(Situation::ParameterNotOffered);
            return self
                .answer(verb, reply.with("parameter", "MODE Z").with("instead", "MODE S, MODE B or MODE C"));
        }
        if mode != self.settings.mode {
            let held = self.arrangement.close_kept();
            self.let_go(held);
        }
        self.settings.mode = mode;
        self.answer(verb, Reply::new(Situation::ModeSet).with("value", mode.name()));
    }

    fn family_not_offered(&self) -> Reply {
        let family = if self.connection.peer.is_ipv4() { "1" } else { "2" };
        Reply::new(Situation::FamilyNotOffered).with("family", family)
    }

    fn epsv(&mut self, verb: Verb, argument: EpsvArgument) {
        let wanted_ipv4 = match argument {
            EpsvArgument::Any => return self.arrange_passive(verb),
            EpsvArgument::All => {
                self.settings.epsv_all = true;
                return self.answer(verb, Reply::new(Situation::EpsvAllAccepted));
            }
            EpsvArgument::Ipv4 => Some(true),
            EpsvArgument::Ipv6 => Some(false),
            EpsvArgument::UnsupportedProtocol(_) => None,
        };
        if wanted_ipv4 == Some(self.connection.local.is_ipv4()) {
            self.arrange_passive(verb);
        } else {
            let reply = self.family_not_offered();
            self.answer(verb, reply);
        }
    }

    fn arrange_passive(&mut self, verb: Verb) {
        if verb == Verb::Pasv {
            if self.settings.epsv_all {
                return self.answer(verb, Reply::new(Situation::EpsvAll).with("verb", verb.name()));
            }
            if self.connection.local.is_ipv6() {
                return self.answer(verb, Reply::new(Situation::PassiveNeedsIpv4));
            }
        }
        let id = self.new_id();
        self.stage = Stage::AwaitReservation { id, verb };
        self.push(Output::Data(id, DataOp::Reserve));
    }

    pub(super) fn finish_reservation(&mut self, verb: Verb, event: DataEvent) {
        let DataEvent::Reserved(port) = event else {
            // The driver let go of an older port before it looked for a new one.
            let _ = self.arrangement.close();
            if event == DataEvent::NoResources {
                return self.answer(verb, Reply::new(Situation::NoResources));
            }
            let ports = &self.policy.passive_ports;
            let range = format!("{}-{}", ports.start(), ports.end());
            return self.answer(verb, Reply::new(Situation::NoPort).with("range", range));
        };
        let expires = self.now + self.policy.reservation_timeout;
        let held = self.arrangement.arrange(Route::Passive { port }, Some(expires));
        self.let_go(held);
        let mut address = Vec::with_capacity(24);
        let situation = if verb == Verb::Pasv {
            address::write_pasv(&mut address, self.passive_address(), port);
            Situation::Passive
        } else {
            address::write_epsv(&mut address, port);
            Situation::ExtendedPassive
        };
        // The texts hold the brackets, so that they stand where clients look for them in every language.
        let inner = address.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).unwrap_or(&address);
        self.answer(verb, Reply::new(situation).with("address", inner.to_vec()));
    }

    /// What 227 names: the operator's public address, else the one that the client came to.
    fn passive_address(&self) -> Ipv4Addr {
        let own = match self.connection.local.ip() {
            IpAddr::V4(own) => own,
            IpAddr::V6(_) => unreachable!("PASV over IPv6 was refused"),
        };
        match self.policy.public_address {
            Some(public) => public,
            None => own,
        }
    }

    fn mlst(&mut self, verb: Verb, raw: Option<Vec<u8>>) {
        let raw = raw.unwrap_or_else(|| b".".to_vec());
        if let Some(path) = self.path(verb, &raw) {
            let then = Then::Answer { situation: Situation::FactsOf, path: path.clone() };
            self.ask_storage(verb, StorageOp::Facts(path, self.settings.facts), then);
        }
    }

    pub(super) fn finish_storage(&mut self, verb: Verb, then: Then, outcome: StorageOutcome) {
        match (then, outcome) {
            (Then::AnswerSpace { bytes }, outcome) => {
                let reply = match outcome {
                    StorageOutcome::FreeSpace(Some(free)) if free < bytes => {
                        Reply::new(Situation::SpaceShort).with("free", free)
                    }
                    StorageOutcome::FreeSpace(Some(_)) => Reply::new(Situation::SpaceFine),
                    _ => Reply::new(Situation::SpaceUnknown),
                };
                self.answer(verb, reply.with("bytes", bytes));
            }
            (Then::AnswerQuota, outcome) => self.answer_quota(verb, outcome),
            (then, StorageOutcome::Failed(failure)) => {
                let path = match &then {
                    Then::Answer { path, .. }
                    | Then::Enter { path }
                    | Then::RememberSource { path }
                    | Then::AnswerRename { to: path, .. }
                    | Then::AnswerMode { path, .. }
                    | Then::AnswerTime { path, .. } => path,
                    Then::AnswerSpace { .. } | Then::AnswerQuota => unreachable!("answered above"),
                };
                let mut reply = self.failure(verb, failure, path);
                if let Then::AnswerRename { from, .. } = &then {
                    reply = reply.with("from", from);
                }
                self.answer(verb, reply);
            }
            (Then::Enter { path }, _) => {
                let reply = Reply::new(Situation::DirectoryChanged).with("path", &path);
                if let Login::In(login) = &mut self.login {
                    login.directory = path;
                }
                self.answer(verb, reply);
            }
            (Then::RememberSource { path }, _) => {
                let reply = Reply::new(Situation::RenamePending).with("path", &path);
                self.settings.rename_from = Some(path);
                self.answer(verb, reply);
            }
            (Then::AnswerRename { from, to }, _) => {
                let reply = Reply::new(Situation::Renamed).with("from", &from).with("path", &to);
                self.push(Output::Event(Event::Changed { verb, path: from, to: Some(to) }));
                self.answer(verb, reply);
            }
            (Then::AnswerTime { path, time }, _) => {
                let reply =
                    Reply::new(Situation::ModifiedSet).with("time", time_text(time)).with("path", &path);
                self.push(Output::Event(Event::Changed { verb, path, to: None }));
                self.answer(verb, reply);
            }
            (Then::AnswerMode { path, mode }, outcome) => {
                let mode = if let StorageOutcome::Mode(set) = outcome { set } else { mode };
                let reply = Reply::new(Situation::FileModeSet).with("path", &path);
                self.push(Output::Event(Event::Changed { verb, path, to: None }));
                self.answer(verb, reply.with("mode", format!("{mode:04o}")));
            }
            (Then::Answer { situation, path }, outcome) => self.answer_about(verb, situation, path, outcome),
        }
    }

    fn answer_about(&mut self, verb: Verb, situation: Situation, path: VirtualPath, outcome: StorageOutcome) {
        let reply = match outcome {
            StorageOutcome::Size(size) => Reply::new(situation).with("size", size),
            StorageOutcome::Modified(time) => Reply::new(situation).with("time", time_text(time)),
            StorageOutcome::TooMany => {
                Reply::new(Situation::ListingTooLong).with("path", &path).with("limit", STATUS_LIMIT_ENTRIES)
            }
            StorageOutcome::Lines { lines, directory } => {
                let situation =
                    if directory && verb == Verb::Stat { Situation::StatusDirectory } else { situation };
                Reply::new(situation).with("path", &path).with_lines(lines)
            }
            _ => {
                let shown = if situation == Situation::DirectoryMade {
                    quoted(&path)
                } else {
                    path.as_bytes().to_vec()
                };
                self.push(Output::Event(Event::Changed { verb, path, to: None }));
                Reply::new(situation).with("path", shown)
            }
        };
        self.answer(verb, reply);
    }

    fn opts(&mut self, verb: Verb, options: Options) {
        let reply = match options {
            Options::Utf8 => Reply::new(Situation::NamesAreBytes),
            Options::Mlst(facts) => {
                self.settings.facts = facts;
                let mut enabled = Vec::new();
                facts.write_enabled(&mut enabled);
                Reply::new(Situation::FactsSet).with("facts", enabled)
            }
            Options::DeflateLevel(level) if self.policy.deflate => {
                self.settings.level = Some(level);
                Reply::new(Situation::DeflateLevelSet).with("level", u64::from(level.get()))
            }
            Options::DeflateKeep(keep) if self.policy.deflate => {
                if !keep && self.settings.mode == Mode::Deflate {
                    // Nothing comes behind the file before any more.
                    let held = self.arrangement.close_kept();
                    self.let_go(held);
                }
                self.settings.keeps_deflate = keep;
                Reply::new(if keep { Situation::DeflateStays } else { Situation::DeflateCloses })
            }
            Options::DeflateLevel(_) | Options::DeflateKeep(_) => {
                Reply::new(Situation::OptionUnknown).with("option", "MODE Z")
            }
            Options::Unknown(option) => Reply::new(Situation::OptionUnknown).with("option", option),
        };
        self.answer(verb, reply);
    }
}

/// Within the quotes of 257, a quote is written twice (RFC 959 appendix II).
fn quoted(path: &VirtualPath) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.as_bytes().len());
    for &byte in path.as_bytes() {
        out.push(byte);
        if byte == b'"' {
            out.push(b'"');
        }
    }
    out
}

fn time_text(time: UnixTime) -> Vec<u8> {
    let mut out = Vec::with_capacity(14);
    write_time_val(&mut out, time);
    out
}
