//! The password of the account that may write: made, taken from the environment, or asked for.

use std::env::VarError;
use std::io::IsTerminal;

use longshore_accounts::PasswordHash;

use crate::{Failure, log};

/// The environment variable with the password for --user.
pub(crate) const VARIABLE: &str = "LONGSHORE_PASSWORD";

/// Letters and digits that nobody mistakes for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 20 of 32 letters are 100 bits.
const LENGTH: usize = 20;

/// A password nobody can guess.
pub(crate) fn random() -> Result<String, Failure> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(format!("the system gives no random bytes for a password: {error}")))?;
    let letters: Vec<u8> = bytes.iter().map(|byte| ALPHABET[usize::from(byte % 32)]).collect();
    let groups: Vec<&str> =
        letters.chunks(5).map(|group| std::str::from_utf8(group).expect("the alphabet is ASCII")).collect();
    Ok(groups.join("-"))
}

/// The password for an account that was named.
pub(crate) fn given(user: &str) -> Result<String, Failure> {
    match std::env::var(VARIABLE) {
        Ok(password) => return accept(password),
        Err(VarError::NotUnicode(_)) => {
            return Err(
                Failure::new(format!("{VARIABLE} is not UTF-8")).hint("choose a password of other letters")
            );
        }
        Err(VarError::NotPresent) => {}
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(format!("no password is known for the account {user:?}"))
            .hint(format!("set {VARIABLE}, or run in a terminal to be asked")));
    }
    let password = rpassword::prompt_password(format!("Password for {user}: "))
        .map_err(|error| Failure::new(format!("the password could not be read: {error}")))?;
    accept(password)
}

/// `longshore hash-password`: reads a password and prints its hash.
pub(crate) fn hash() -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::new(format!("the password could not be read: {error}"));
    let password = if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password("Password: ").map_err(unreadable)?;
        let again = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
        if first != again {
            return Err(Failure::new("the two passwords differ").hint("nothing was hashed; try again"));
        }
        first
    } else {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(unreadable)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    let password = accept(password)?;
    let hash = PasswordHash::new_argon2id(password.as_bytes())
        .map_err(|error| Failure::new(format!("the password cannot be hashed: {error}")))?;
    log::print(&format!("{hash}\n"));
    Ok(())
}

fn accept(password: String) -> Result<String, Failure> {
    if password.is_empty() {
        return Err(Failure::new("the password is empty").hint("an account that may write needs one"));
    }
    if password.bytes().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(Failure::new("the password holds a line end or NUL, which FTP cannot carry")
            .hint("choose another"));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_passwords_differ_and_can_be_typed() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), LENGTH + 3);
        assert!(one.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{one}");
    }

    #[test]
    fn passwords_that_no_line_can_carry_are_refused() {
        assert!(accept(String::new()).is_err());
        assert!(accept("a\rb".to_owned()).is_err());
        assert!(accept("a b\u{e9}".to_owned()).is_ok());
    }
}
