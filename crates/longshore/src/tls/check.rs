//! What `longshore check` says of certificates, keys and authorities. Nothing is made or changed.

use std::path::Path;
use std::time::SystemTime;

use longshore_accounts::TlsNeed;
use longshore_server::tls::{Authorities, CertificateSet};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Origin, files_of, mistakes, own, warnings};
use crate::config::{Clients, Settings};
use crate::state;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) wrong: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Reads all that the settings name. `may` says what whoever serves may do with a file, who may be somebody else
/// than we are.
pub(crate) fn check(settings: &Settings, may: impl Fn(&Path, Access) -> bool, now: SystemTime) -> Checked {
    let mut checked = Checked::default();
    if !settings.tls.offer {
        let needs =
            settings.accounts.iter().filter(|account| account.tenancy.tls.need > Some(TlsNeed::Nothing));
        let told =
            |name: &str| format!("the account {name} requires TLS, and tls.offer is false: it cannot log in");
        checked.warnings.extend(needs.map(|account| told(&account.name)));
        return checked;
    }
    checked.certificates(settings, &may, now);
    checked.authorities(settings, &may);
    checked
}

impl Checked {
    fn certificates(&mut self, settings: &Settings, may: &impl Fn(&Path, Access) -> bool, now: SystemTime) {
        let files = &settings.tls.certificates;
        if files.is_empty() {
            return self.own(settings, may, now);
        }
        match CertificateSet::load(files, now) {
            Ok(set) => {
                self.warnings.extend(warnings(&set, &Origin::Configured(files.clone()), now));
                for file in files_of(files) {
                    self.readable_later(&file, may);
                }
            }
            Err(error) => {
                let mistakes = mistakes(files, now);
                self.wrong.extend(if mistakes.is_empty() { vec![error.to_string()] } else { mistakes });
            }
        }
    }

    fn authorities(&mut self, settings: &Settings, may: &impl Fn(&Path, Access) -> bool) {
        let tls = &settings.tls;
        let asked = tls.clients != Clients::Off;
        if let Some(file) = tls.authorities.as_ref().filter(|_| asked) {
            match Authorities::load(file) {
                Ok(_) => self.readable_later(file, may),
                Err(error) => self.wrong.push(error.to_string()),
            }
        }
        for account in settings.accounts.iter().filter(|account| !asked && !account.certificates.is_empty()) {
            self.warnings.push(format!(
                "the account {} has certificates, and tls.client_certificates is \"off\": no client is asked for one",
                account.name
            ));
        }
    }

    /// We have read it; whoever serves reads it before it gives up root, and again when it changes.
    fn readable_later(&mut self, file: &Path, may: &impl Fn(&Path, Access) -> bool) {
        if !may(file, Access::READ_OK) {
            self.warnings.push(format!(
                "{} can be read at the start only: server.user may not, so a renewed one takes a restart",
                file.display()
            ));
        }
    }

    fn own(&mut self, settings: &Settings, may: &impl Fn(&Path, Access) -> bool, now: SystemTime) {
        let forgets = |why: &str| {
            format!("the certificate of this server's own will be another one after each start: {why}")
        };
        let Some(directory) = state::directory(settings.server.state_directory.as_deref()) else {
            self.warnings.push(forgets("this user has no home; name server.state_directory"));
            return;
        };
        match own::judge(&directory, now) {
            Err(failure) => return self.wrong.push(failure.what),
            Ok(own::Judgement::Good) => return,
            Ok(own::Judgement::Missing) => {}
            Ok(own::Judgement::Due(why)) => {
                self.warnings.push(format!("{why}: the next start makes another one"));
            }
        }
        // The directory is made by whoever starts, what is in it by whoever serves.
        let there = directory.ancestors().find(|directory| directory.exists()).unwrap_or(Path::new("/"));
        let rights = Access::WRITE_OK | Access::EXEC_OK;
        let allowed = if there == directory {
            may(there, rights) || own::is_to_be_given(there)
        } else {
            accessat(CWD, there, rights, AtFlags::EACCESS).is_ok()
        };
        if !there.is_dir() || !allowed {
            self.warnings.push(forgets(&format!("{} cannot be written to", there.display())));
        }
    }
}
