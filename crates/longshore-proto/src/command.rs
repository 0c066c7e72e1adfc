//! A line becomes a command, or a typed error; the session lives on either way.
//!
//! Not inside: whether the command is legal now ([`verbs`](crate::verbs)) and what it does
//! ([`server`](crate::server)). Paths stay as the peer wrote them: they are resolved when the command's turn comes,
//! for a CWD may wait before it.

mod protection;

use std::fmt;
use std::net::SocketAddrV4;

use crate::address::{self, AddressError, Eprt, EpsvArgument};
use crate::limits::{FILE_MODE_BITS, USER_NAME_LIMIT_BYTES};
use crate::listing::Facts;
use crate::reply::Situation;
use crate::time::{self, UnixTime};
pub use crate::transmission::{Level, Mode, Representation, Structure};
use crate::verbs::{Legal, Verb};
use protection::{buffer_size, level, mechanism};

pub use protection::{AuthMechanism, ProtectionLevel};

/// A line that names a command we know.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Which command.
    pub verb: Verb,
    /// What it asks for, or what is wrong with its argument.
    pub command: Result<Command, ArgumentError>,
}

/// A path as the peer wrote it, not empty; it may be relative.
pub type RawPath = Vec<u8>;

/// A command with its argument understood.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the RFC's command, explained in VERBS")]
pub enum Command {
    User(Vec<u8>),
    Pass(Secret),
    Acct,
    Rein,
    Quit,
    Cwd(RawPath),
    Cdup,
    Pwd,
    Mkd(RawPath),
    Rmd(RawPath),
    Type(Representation, Format),
    Stru(Structure),
    Mode(Mode),
    Port(SocketAddrV4),
    Eprt(Eprt),
    Pasv,
    Epsv(EpsvArgument),
    Retr(RawPath),
    Stor(RawPath),
    Stou(Option<RawPath>),
    Appe(RawPath),
    Allo(u64),
    Rest(u64),
    Abor,
    Rnfr(RawPath),
    Rnto(RawPath),
    Dele(RawPath),
    List(Option<RawPath>),
    Nlst(Option<RawPath>),
    Mlsd(Option<RawPath>),
    Mlst(Option<RawPath>),
    Stat(Option<RawPath>),
    Size(RawPath),
    Mdtm(RawPath),
    Mfmt(UnixTime, RawPath),
    Feat,
    Opts(Options),
    Syst,
    Help(Option<Vec<u8>>),
    Site(Site),
    Noop,
    Clnt(Vec<u8>),
    Auth(AuthMechanism),
    Pbsz,
    Prot(ProtectionLevel),
    Ccc,
    /// One that exists and is not offered.
    NotOffered,
}

/// A password: never shown by `Debug`, wiped of no use to a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The format of a text: what its vertical movements are (RFC 959 section 3.1.1.5). A server that prints nothing keeps
/// the file as it is in each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `N`, none.
    #[default]
    NonPrint,
    /// `T`, format effectors of Telnet.
    Telnet,
    /// `C`, carriage control of ASA.
    CarriageControl,
}

impl Format {
    /// What TYPE says for a representation in this format.
    pub const fn name(self, representation: Representation) -> &'static str {
        match (representation, self) {
            (Representation::Ascii, Format::NonPrint) => "A",
            (Representation::Ascii, Format::Telnet) => "A T",
            (Representation::Ascii, Format::CarriageControl) => "A C",
            (Representation::Ebcdic, Format::NonPrint) => "E",
            (Representation::Ebcdic, Format::Telnet) => "E T",
            (Representation::Ebcdic, Format::CarriageControl) => "E C",
            (Representation::Image, _) => "I",
        }
    }
}

/// What OPTS sets (RFC 2389 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// `UTF8 ON`, `UTF8 OFF`, `UTF-8 NLST`: names are bytes whatever is said.
    Utf8,
    /// `MLST fact;...` (RFC 3659 section 7.9).
    Mlst(Facts),
    /// `MODE Z LEVEL n`: how hard downloads are compressed (draft-preston-ftpext-deflate-04 section 5.1).
    DeflateLevel(Level),
    /// `MODE Z KEEP 1` or `0`: whether data connections stay open in MODE Z. It is our own.
    DeflateKeep(bool),
    /// Something else.
    Unknown(Vec<u8>),
}

/// What SITE asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// `HELP`.
    Help,
    /// `CHMOD mode path`: permission bits, in octal digits.
    Chmod(u32, RawPath),
    /// `QUOTA`.
    Quota,
    /// Something else.
    Unknown(Vec<u8>),
}

/// What is wrong with an argument: 501, or 504 for a legal value that is not offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Nothing was given.
    #[error("an argument is missing")]
    Missing,
    /// A user name of more than [`USER_NAME_LIMIT_BYTES`].
    #[error("a user name has at most {USER_NAME_LIMIT_BYTES} bytes")]
    UserTooLong,
    /// Not a number, or one above 2^63 - 1.
    #[error("a number from 0 to 9223372036854775807 is needed")]
    Number,
    /// Not a number of 32 bits (RFC 2228 section 3).
    #[error("a size from 0 to 4294967295 is needed, with TLS 0 will do")]
    BufferSize,
    /// Not a mode, or one with bits that are not given to files.
    #[error("a mode from 0 to 3777 in octal digits is needed, set-user-ID (4000) is not given to files")]
    FileMode,
    /// Not a time of RFC 3659 section 2.3.
    #[error("the time must be YYYYMMDDHHMMSS in UTC")]
    Time,
    /// An address that is none.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// A word that is none of those the command knows.
    #[error("the argument is not one of those it knows")]
    Unknown,
    /// A legal parameter that is not offered, and what to use instead.
    #[error("{parameter} is not offered")]
    NotOffered {
        /// As it would be written.
        parameter: &'static str,
        /// What is offered.
        instead: &'static str,
    },
}

impl ArgumentError {
    /// The situation that answers it.
    pub fn situation(&self) -> Situation {
        match self {
            ArgumentError::NotOffered { .. } => Situation::ParameterNotOffered,
            _ => Situation::BadArgument,
        }
    }
}

/// Splits a line into its first word and the rest. One space separates them (RFC 959 section 5.3): further spaces
/// belong to the argument, for names may begin with one.
pub fn split(line: &[u8]) -> (&[u8], &[u8]) {
    // Some clients send spaces or a stray tab before the verb; a verb cannot begin so.
    let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let line = &line[start..];
    match memchr::memchr(b' ', line) {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, b""),
    }
}

/// Reads a line; `None` when its first word is no command.
pub fn parse(line: &[u8]) -> Option<Parsed> {
    let (word, argument) = split(line);
    let verb = Verb::find(word)?;
    let command = match verb.row().legal {
        Legal::NotOffered => Ok(Command::NotOffered),
        _ => parse_argument(verb, argument),
    };
    Some(Parsed { verb, command })
}

fn parse_argument(verb: Verb, argument: &[u8]) -> Result<Command, ArgumentError> {
    Ok(match verb {
        Verb::User => Command::User(user(argument)?),
        Verb::Pass => Command::Pass(Secret(argument.to_vec())),
        Verb::Acct => Command::Acct,
        Verb::Rein => Command::Rein,
        Verb::Quit => Command::Quit,
        Verb::Cwd => Command::Cwd(required(argument)?),
        Verb::Cdup => Command::Cdup,
        Verb::Pwd => Command::Pwd,
        Verb::Mkd => Command::Mkd(required(argument)?),
        Verb::Rmd => Command::Rmd(required(argument)?),
        Verb::Type => {
            let (representation, format) = representation(argument)?;
            Command::Type(representation, format)
        }
        Verb::Stru => Command::Stru(structure(argument)?),
        Verb::Mode => Command::Mode(mode(argument)?),
        Verb::Port => Command::Port(address::parse_port(argument)?),
        Verb::Eprt => Command::Eprt(address::parse_eprt(argument)?),
        Verb::Pasv => Command::Pasv,
        Verb::Epsv => Command::Epsv(address::parse_epsv(argument)?),
        Verb::Retr => Command::Retr(required(argument)?),
        Verb::Stor => Command::Stor(required(argument)?),
        Verb::Stou => Command::Stou(optional(argument)),
        Verb::Appe => Command::Appe(required(argument)?),
        Verb::Allo => Command::Allo(allocation(argument)?),
        Verb::Rest => Command::Rest(number(argument)?),
        Verb::Abor => Command::Abor,
        Verb::Rnfr => Command::Rnfr(required(argument)?),
        Verb::Rnto => Command::Rnto(required(argument)?),
        Verb::Dele => Command::Dele(required(argument)?),
        Verb::List => Command::List(listed(argument)),
        Verb::Nlst => Command::Nlst(listed(argument)),
        Verb::Mlsd => Command::Mlsd(optional(argument)),
        Verb::Mlst => Command::Mlst(optional(argument)),
        Verb::Stat => Command::Stat(listed_or_status(argument)),
        Verb::Size => Command::Size(required(argument)?),
        Verb::Mdtm => Command::Mdtm(required(argument)?),
        Verb::Mfmt => {
            let (time, path) = split(argument);
            let time = time::parse_time_val(time).ok_or(ArgumentError::Time)?;
            Command::Mfmt(time, required(path)?)
        }
        Verb::Feat => Command::Feat,
        Verb::Opts => Command::Opts(options(argument)?),
        Verb::Syst => Command::Syst,
        Verb::Help => Command::Help(optional(argument)),
        Verb::Site => Command::Site(site(argument)?),
        Verb::Noop => Command::Noop,
        Verb::Clnt => Command::Clnt(argument.to_vec()),
        Verb::Auth => Command::Auth(mechanism(argument)?),
        Verb::Pbsz => buffer_size(argument).map(|()| Command::Pbsz)?,
        Verb::Prot => Command::Prot(level(argument)?),
        Verb::Ccc => Command::Ccc,
        Verb::Adat
        | Verb::Conf
        | Verb::Enc
        | Verb::Mic
        | Verb::Host
        | Verb::Lang
        | Verb::Smnt
        | Verb::Lprt
        | Verb::Lpsv
        | Verb::Mff
        | Verb::Mfct
        | Verb::Hash
        | Verb::Avbl => Command::NotOffered,
    })
}

fn required(argument: &[u8]) -> Result<RawPath, ArgumentError> {
    optional(argument).ok_or(ArgumentError::Missing)
}

fn optional(argument: &[u8]) -> Option<Vec<u8>> {
    (!argument.is_empty()).then(|| argument.to_vec())
}

fn user(argument: &[u8]) -> Result<Vec<u8>, ArgumentError> {
    match argument.len() {
        0 => Err(ArgumentError::Missing),
        1..=USER_NAME_LIMIT_BYTES => Ok(argument.to_vec()),
        _ => Err(ArgumentError::UserTooLong),
    }
}

/// The path behind the options of `ls` that many clients send (`LIST -la dir`). A file whose name begins with a
/// hyphen is still reached as `./-name`.
fn listed(mut argument: &[u8]) -> Option<RawPath> {
    loop {
        argument = argument.trim_ascii_start();
        if argument.first() != Some(&b'-') {
            return optional(argument);
        }
        argument = split(argument).1;
    }
}

/// As [`listed`], but options alone still ask for a listing: `STAT -l` is of the current directory.
fn listed_or_status(argument: &[u8]) -> Option<RawPath> {
    if argument.trim_ascii().is_empty() {
        return None;
    }
    Some(listed(argument).unwrap_or_else(|| b".".to_vec()))
}

fn number(argument: &[u8]) -> Result<u64, ArgumentError> {
    let digits = argument.trim_ascii();
    if digits.is_empty() {
        return Err(ArgumentError::Missing);
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u64>().ok());
    // File offsets of every system we run on are signed.
    number.filter(|&number| i64::try_from(number).is_ok()).ok_or(ArgumentError::Number)
}

/// `ALLO n` or `ALLO n R m` (RFC 959 section 4.1.3); the record size plays no part.
fn allocation(argument: &[u8]) -> Result<u64, ArgumentError> {
    let (bytes, rest) = split(argument);
    let bytes = number(bytes)?;
    if rest.trim_ascii().is_empty() {
        return Ok(bytes);
    }
    match split(rest) {
        (r, record) if r.eq_ignore_ascii_case(b"R") => number(record).map(|_| bytes),
        _ => Err(ArgumentError::Unknown),
    }
}

fn representation(argument: &[u8]) -> Result<(Representation, Format), ArgumentError> {
    let upper = argument.trim_ascii().to_ascii_uppercase();
    let (kind, form) = upper.split_first().ok_or(ArgumentError::Missing)?;
    let form = form.trim_ascii();
    match (kind, form) {
        (b'A', form) => text_format(form).map(|format| (Representation::Ascii, format)),
        (b'E', form) => text_format(form).map(|format| (Representation::Ebcdic, format)),
        (b'I', b"" | b"N") => Ok((Representation::Image, Format::NonPrint)),
        (b'L', b"8") => Ok((Representation::Image, Format::NonPrint)),
        (b'L', b"") => Err(ArgumentError::Missing),
        (b'L', size) if size.iter().all(u8::is_ascii_digit) => {
            Err(ArgumentError::NotOffered { parameter: "this byte size", instead: "TYPE L 8" })
        }
        _ => Err(ArgumentError::Unknown),
    }
}

fn text_format(argument: &[u8]) -> Result<Format, ArgumentError> {
    match argument {
        b"" | b"N" => Ok(Format::NonPrint),
        b"T" => Ok(Format::Telnet),
        b"C" => Ok(Format::CarriageControl),
        _ => Err(ArgumentError::Unknown),
    }
}

fn structure(argument: &[u8]) -> Result<Structure, ArgumentError> {
    match argument.trim_ascii() {
        b"" => Err(ArgumentError::Missing),
        b"F" | b"f" => Ok(Structure::File),
        b"R" | b"r" => Ok(Structure::Record),
        b"P" | b"p" => Ok(Structure::Page),
        _ => Err(ArgumentError::Unknown),
    }
}

fn mode(argument: &[u8]) -> Result<Mode, ArgumentError> {
    match argument.trim_ascii() {
        b"" => Err(ArgumentError::Missing),
        b"S" | b"s" => Ok(Mode::Stream),
        b"B" | b"b" => Ok(Mode::Block),
        b"C" | b"c" => Ok(Mode::Compressed),
        b"Z" | b"z" => Ok(Mode::Deflate),
        b"E" | b"e" => {
            Err(ArgumentError::NotOffered { parameter: "MODE E", instead: "MODE S, MODE B or MODE C" })
        }
        _ => Err(ArgumentError::Unknown),
    }
}

fn options(argument: &[u8]) -> Result<Options, ArgumentError> {
    let (name, value) = split(argument);
    if name.is_empty() {
        return Err(ArgumentError::Missing);
    }
    if name.eq_ignore_ascii_case(b"UTF8") || name.eq_ignore_ascii_case(b"UTF-8") {
        return Ok(Options::Utf8);
    }
    if name.eq_ignore_ascii_case(b"MLST") {
        return Ok(Options::Mlst(Facts::from_opts(value)));
    }
    if name.eq_ignore_ascii_case(b"MODE")
        && let Some(option) = deflate_option(value)
    {
        return Ok(option);
    }
    Ok(Options::Unknown(name.to_vec()))
}

/// How FEAT tells of [`Options::DeflateKeep`].
pub const DEFLATE_KEEP_FEATURE: &[u8] = b"OPTS MODE Z KEEP";

/// `Z LEVEL n` or `Z KEEP n`.
fn deflate_option(argument: &[u8]) -> Option<Options> {
    let text = std::str::from_utf8(argument).ok()?.to_ascii_uppercase();
    let mut words = text.split_ascii_whitespace();
    match (words.next()?, words.next()?, words.next()?, words.next()) {
        ("Z", "LEVEL", number, None) => number.parse().ok().and_then(Level::new).map(Options::DeflateLevel),
        ("Z", "KEEP", "0", None) => Some(Options::DeflateKeep(false)),
        ("Z", "KEEP", "1", None) => Some(Options::DeflateKeep(true)),
        _ => None,
    }
}

/// One to four octal digits, as clients send them; set-user-ID is not among the bits.
fn file_mode(digits: &[u8]) -> Result<u32, ArgumentError> {
    if digits.is_empty() {
        return Err(ArgumentError::Missing);
    }
    let text = std::str::from_utf8(digits).ok().filter(|text| text.len() <= 4 && !text.starts_with('+'));
    let mode = text.and_then(|text| u32::from_str_radix(text, 8).ok());
    mode.filter(|mode| mode & !FILE_MODE_BITS == 0).ok_or(ArgumentError::FileMode)
}

fn site(argument: &[u8]) -> Result<Site, ArgumentError> {
    let (name, rest) = split(argument);
    match name {
        b"" => Err(ArgumentError::Missing),
        name if name.eq_ignore_ascii_case(b"HELP") => Ok(Site::Help),
        name if name.eq_ignore_ascii_case(b"QUOTA") => Ok(Site::Quota),
        name if name.eq_ignore_ascii_case(b"CHMOD") => {
            let (mode, path) = split(rest);
            Ok(Site::Chmod(file_mode(mode)?, required(path)?))
        }
        name => Ok(Site::Unknown(name.to_vec())),
    }
}

#[cfg(test)]
mod tests;
