//! Accounts held in memory. No file is read and no hash is computed here: the passwords come from the command line
//! or are made at start, and leave with the process.

use std::collections::HashMap;

use subtle::ConstantTimeEq;

use crate::{Account, Answer, Attempt, Authenticator, Rejection, Verdict};

/// A few accounts with their passwords, and perhaps an anonymous one.
#[derive(Default)]
pub struct MemoryAccounts {
    accounts: HashMap<Vec<u8>, (Account, Vec<u8>)>,
    anonymous: Option<Account>,
}

impl MemoryAccounts {
    /// Nobody.
    pub fn new() -> MemoryAccounts {
        MemoryAccounts::default()
    }

    /// Adds an account; one of the same name is replaced.
    #[must_use]
    pub fn with_account(mut self, account: Account, password: impl Into<Vec<u8>>) -> MemoryAccounts {
        self.accounts.insert(account.name.clone().into_bytes(), (account, password.into()));
        self
    }

    /// Lets `anonymous` and `ftp` in with any password.
    #[must_use]
    pub fn with_anonymous(mut self, account: Account) -> MemoryAccounts {
        self.anonymous = Some(account);
        self
    }

    fn judge(&self, attempt: &Attempt) -> Verdict {
        if let Some((account, password)) = self.accounts.get(&attempt.user) {
            let equal: bool = password.as_slice().ct_eq(attempt.password.as_slice()).into();
            return if equal { Ok(account.clone()) } else { Err(Rejection::WrongPassword) };
        }
        if is_anonymous(&attempt.user) {
            return self.anonymous.clone().ok_or(Rejection::NoAnonymous);
        }
        // The same work as for a name that is known.
        let _: bool = attempt.password.as_slice().ct_eq(attempt.password.as_slice()).into();
        Err(Rejection::NoSuchAccount)
    }
}

impl Authenticator for MemoryAccounts {
    fn authenticate(&self, attempt: Attempt) -> Answer {
        Answer::Ready(self.judge(&attempt))
    }
}

/// Whether a name asks for an anonymous session (RFC 1635).
pub fn is_anonymous(user: &[u8]) -> bool {
    user.eq_ignore_ascii_case(b"anonymous") || user.eq_ignore_ascii_case(b"ftp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> Account {
        Account::new(name, "files")
    }

    #[track_caller]
    fn check(accounts: &MemoryAccounts, user: &[u8], password: &[u8], expected: Result<&str, Rejection>) {
        let attempt = Attempt::new(user, password, [127, 0, 0, 1].into());
        let Answer::Ready(verdict) = accounts.authenticate(attempt) else { panic!("memory does not wait") };
        assert_eq!(verdict.as_ref().map(|account| account.name.as_str()).map_err(|why| *why), expected);
    }

    #[test]
    fn names_and_passwords() {
        let accounts = MemoryAccounts::new().with_account(account("alice"), "secret");
        check(&accounts, b"alice", b"secret", Ok("alice"));
        check(&accounts, b"alice", b"secre", Err(Rejection::WrongPassword));
        check(&accounts, b"alice", b"secret ", Err(Rejection::WrongPassword));
        check(&accounts, b"alice", b"", Err(Rejection::WrongPassword));
        check(&accounts, b"Alice", b"secret", Err(Rejection::NoSuchAccount));
        check(&accounts, b"\xff", b"secret", Err(Rejection::NoSuchAccount));
        check(&accounts, b"anonymous", b"x@y", Err(Rejection::NoAnonymous));
        let accounts = accounts.with_anonymous(account("anonymous"));
        check(&accounts, b"anonymous", b"x@y", Ok("anonymous"));
        check(&accounts, b"FTP", b"", Ok("anonymous"));
    }

    #[test]
    fn an_attempt_never_shows_its_password() {
        let attempt = Attempt::new(b"a\n", b"hunter2", [127, 0, 0, 1].into());
        let shown = format!("{attempt:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("104, 117") && !shown.contains('\n'),
            "{shown}"
        );
    }
}
