//! The one table of commands: when each is legal, what it takes, and what it may be answered with.
//!
//! Not inside: the parsing of arguments ([`command`](crate::command)) and what a command does
//! ([`server`](crate::server)). Every 503 and 530 of the session is read off a row of this table.

use crate::reply::Situation::{self, *};

/// One command as the protocol layer knows it.
#[derive(Debug)]
pub struct Row {
    /// Which one.
    pub verb: Verb,
    /// Its name, then others that mean the same (RFC 775's X forms).
    pub names: &'static [&'static str],
    /// How to write it, in RFC 959's notation.
    pub syntax: &'static str,
    /// What it does, for HELP.
    pub help: &'static str,
    /// Its line in the answer to FEAT (RFC 2389), where it has a fixed one.
    pub feature: Option<&'static str>,
    /// In which states it may be said.
    pub legal: Legal,
    /// The command that must come directly before, and the 503 for when it did not.
    pub after: Option<(Verb, Situation)>,
    /// Whether an argument can be wrong in form.
    pub argument: Argument,
    /// Whether it moves data over a data connection, and whither.
    pub transfer: Option<Direction>,
    /// Whether a REST said before it still holds after it (protocol: between REST and its transfer).
    pub keeps_restart: bool,
    /// Which answers storage's failures lead to.
    pub failures: Failures,
    /// Its own answers, beside those that the other columns imply.
    pub answers: &'static [Situation],
}

/// When a command may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legal {
    /// Before and after login.
    Always,
    /// After login; before it, 530.
    LoggedIn,
    /// Never: a command that exists and is not offered, 502.
    NotOffered,
}

/// What may be wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// None is looked at, or any will do; a path may still be refused as a name.
    Ignored,
    /// Its form is checked; 501 when it is wrong.
    Checked,
}

/// Which way data flows, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the client: RETR, LIST, NLST, MLSD.
    Send,
    /// From the client: STOR, STOU, APPE.
    Receive,
}

/// Why storage (or the rights of the account) did not do what was asked. No reply codes in here: a command's
/// [`Failures`] picks the situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No such file or directory.
    NotFound,
    /// The account, the system or the store refuses.
    NoPermission,
    /// A directory was needed, as the last or an inner component.
    NotADirectory,
    /// A file was needed.
    IsADirectory,
    /// A device, pipe or socket.
    NotAFile,
    /// The name is taken and may not be overwritten.
    Exists,
    /// The directory holds something.
    NotEmpty,
    /// The store cannot hold this name.
    Name,
    /// The store is full.
    NoSpace,
    /// A quota is used up.
    Quota,
    /// The file would be larger than the account's may be.
    TooLarge,
    /// The restart offset lies behind the end.
    BeyondEnd,
    /// Somebody else writes to it.
    Busy,
    /// The store takes no writes.
    ReadOnly,
    /// The store cannot do this.
    Unsupported,
    /// The store's own fault.
    Fault,
}

impl Failure {
    /// All of them.
    pub const ALL: &[Failure] = &[
        Failure::NotFound,
        Failure::NoPermission,
        Failure::NotADirectory,
        Failure::IsADirectory,
        Failure::NotAFile,
        Failure::Exists,
        Failure::NotEmpty,
        Failure::Name,
        Failure::NoSpace,
        Failure::Quota,
        Failure::TooLarge,
        Failure::BeyondEnd,
        Failure::Busy,
        Failure::ReadOnly,
        Failure::Unsupported,
        Failure::Fault,
    ];

    /// A few words for the `{detail}` of a text.
    pub const fn words(self) -> &'static str {
        match self {
            Failure::NotFound => "there is no such file or directory",
            Failure::NoPermission => "there is no permission for it",
            Failure::NotADirectory => "a directory is needed there",
            Failure::IsADirectory => "it is a directory",
            Failure::NotAFile => "it is not a regular file",
            Failure::Exists => "it exists already",
            Failure::NotEmpty => "the directory is not empty",
            Failure::Name => "the storage cannot hold this name",
            Failure::NoSpace => "no space is left",
            Failure::Quota => "the quota is used up",
            Failure::TooLarge => "it would be larger than a file may be",
            Failure::BeyondEnd => "the offset lies behind its end",
            Failure::Busy => "somebody else is writing to it",
            Failure::ReadOnly => "the storage cannot be written to",
            Failure::Unsupported => "the storage does not offer this",
            Failure::Fault => "the storage failed",
        }
    }
}

/// How a command answers the failures of storage: RFC 959 section 5.4 gives each command its own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failures {
    /// It asks nothing of storage, or no failure shows.
    None,
    /// 550 for everything: CWD, CDUP, MKD, RMD, SIZE, MDTM.
    Refused,
    /// 550, or 450 where trying again may help: RNFR, DELE.
    File,
    /// 550, 450, or 451 for the store's own fault: LIST, NLST, MLSD, MLST, MFMT.
    Listing,
    /// As `Listing`, and 554 for an offset behind the end: RETR.
    Retrieve,
    /// 553, 450, 451, 452, 552, 554: STOR, APPE.
    Store,
    /// As `Store`, but never restarted, so without 554: STOU.
    StoreUnique,
    /// 553 for everything: RNTO.
    Rename,
    /// 450 for everything: STAT.
    Status,
}

impl Failures {
    /// The one place where a failure of storage becomes a situation.
    pub const fn situation(self, failure: Failure) -> Situation {
        match self {
            Failures::None | Failures::Status => StatusUnavailable,
            Failures::Refused => match failure {
                Failure::NoSpace | Failure::Quota | Failure::TooLarge => StorageRefused,
                Failure::BeyondEnd | Failure::Busy => StorageRefused,
                Failure::Unsupported | Failure::Fault => StorageRefused,
                other => Failures::by_path(other),
            },
            Failures::File => match failure {
                Failure::Busy => Busy,
                Failure::NoSpace | Failure::Quota | Failure::TooLarge | Failure::BeyondEnd => StorageBusy,
                Failure::Unsupported | Failure::Fault => StorageBusy,
                other => Failures::by_path(other),
            },
            Failures::Listing => match failure {
                Failure::Busy => Busy,
                Failure::NoSpace | Failure::Quota | Failure::TooLarge | Failure::BeyondEnd => StorageFailed,
                Failure::Unsupported | Failure::Fault => StorageFailed,
                other => Failures::by_path(other),
            },
            Failures::Retrieve => match failure {
                Failure::BeyondEnd => RestartBeyondEnd,
                other => Failures::Listing.situation(other),
            },
            Failures::Store => match failure {
                Failure::NoSpace => SpaceUsedUp,
                Failure::Quota => QuotaUsedUp,
                Failure::TooLarge => FileTooLarge,
                Failure::BeyondEnd => RestartBeyondEnd,
                Failure::Busy => Busy,
                Failure::NotEmpty | Failure::Unsupported | Failure::Fault => StorageFailed,
                other => Failures::by_target(other),
            },
            Failures::StoreUnique => match failure {
                Failure::BeyondEnd => StorageFailed,
                other => Failures::Store.situation(other),
            },
            Failures::Rename => match failure {
                // Which of the two names it was, storage does not say.
                Failure::NotFound => RenameNotFound,
                other => Failures::by_target(other),
            },
        }
    }

    const fn by_path(failure: Failure) -> Situation {
        match failure {
            Failure::NotFound => NotFound,
            Failure::NoPermission | Failure::ReadOnly => NoPermission,
            Failure::NotADirectory => NotADirectory,
            Failure::IsADirectory => IsADirectory,
            Failure::NotAFile => NotAFile,
            Failure::Exists => Exists,
            Failure::NotEmpty => NotEmpty,
            Failure::Name => NameImpossible,
            _ => StorageRefused,
        }
    }

    const fn by_target(failure: Failure) -> Situation {
        match failure {
            Failure::NotFound | Failure::NotADirectory => TargetNoDirectory,
            Failure::NoPermission | Failure::ReadOnly => TargetNoPermission,
            Failure::IsADirectory => TargetIsADirectory,
            Failure::NotAFile => TargetNotAFile,
            Failure::Exists => TargetExists,
            Failure::Name => TargetName,
            _ => TargetFailed,
        }
    }
}

impl Row {
    /// The name under which it is written in replies and logs.
    pub const fn name(&self) -> &'static str {
        self.names[0]
    }

    /// Every situation that an answer to this command may have. The session asserts it.
    pub fn may_answer(&self, situation: Situation) -> bool {
        match situation {
            // The session may end at any command.
            Idle | LoginTimeout | Shutdown | Fault => true,
            NotOffered => self.legal == Legal::NotOffered,
            LoginNeeded => self.legal == Legal::LoggedIn,
            BadArgument => self.argument == Argument::Checked,
            _ if self.after.is_some_and(|(_, refusal)| refusal == situation) => true,
            _ if self.failures != Failures::None
                && Failure::ALL.iter().any(|&failure| self.failures.situation(failure) == situation) =>
            {
                true
            }
            _ if self.transfer.is_some() && TRANSFER.contains(&situation) => true,
            _ => self.answers.contains(&situation),
        }
    }
}

/// What every transfer may be answered with, beside its completion and storage's failures.
pub const TRANSFER: &[Situation] = &[
    NothingArranged,
    ArrangementExpired,
    ClosedByRefusal,
    ConnectionCut,
    ProtectionNeeded,
    DataTlsSilent,
    DataNotTls,
    DataTlsFailed,
    DataNotResumed,
    NoConnection,
    OnlyStrangers,
    OnlyUnproved,
    ActiveRefused,
    ActiveUnreachable,
    ActiveSilent,
    TransferAborted,
    ControlLost,
    TransferShutdown,
    NotBegun,
];

macro_rules! verbs {
    ($(
        $variant:ident [$($names:literal),*] $syntax:literal $help:literal
        $( feature $feature:literal )?
        $( after $after:ident $refusal:ident )?
        $( transfer $transfer:ident )?
        $( failures $failures:ident )?
        => $legal:ident $argument:ident $restart:ident [$($answer:ident)*];
    )*) => {
        /// The commands that are known, offered or not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the help text beside each name is its documentation")]
        pub enum Verb { $( $variant, )* }

        /// One row per command.
        pub const VERBS: &[Row] = &[$( Row {
            verb: Verb::$variant,
            names: &[$($names),*],
            syntax: $syntax,
            help: $help,
            feature: verbs!(@option $( $feature )?),
            legal: Legal::$legal,
            after: verbs!(@option $( (Verb::$after, $refusal) )?),
            argument: Argument::$argument,
            transfer: verbs!(@option $( Direction::$transfer )?),
            keeps_restart: verbs!(@restart $restart),
            failures: verbs!(@failures $( $failures )?),
            answers: &[$( $answer, )*],
        }, )*];
    };
    (@option) => { None };
    (@option $value:expr) => { Some($value) };
    (@failures) => { Failures::None };
    (@failures $failures:ident) => { Failures::$failures };
    (@restart keep) => { true };
    (@restart drop) => { false };
}

// The last word before the answers: does a REST said before this command hold after it?
verbs! {
    // Coming in and going out (RFC 959 section 4.1.1).
    User ["USER"] "USER <name>" "says who logs in"
        => Always Checked drop [PasswordWanted ClearRefused TlsNeeded LoggedInByCertificate Banned];
    Pass ["PASS"] "PASS <password>" "finishes the login" after User PassWithoutUser
        => Always Ignored drop [LoggedIn LoginRejected LoginRejectedInClear LoginAttempts Banned];
    Acct ["ACCT"] "ACCT <account>" "is accepted and not needed" => LoggedIn Ignored drop [AccountSuperfluous];
    Rein ["REIN"] "REIN" "forgets everything but the connection" => LoggedIn Ignored drop [Reset ReinRefused];
    Quit ["QUIT"] "QUIT" "ends the session after every command before it" => Always Ignored drop [Goodbye];

    // Directories.
    Cwd ["CWD", "XCWD"] "CWD <directory>" "changes the current directory" failures Refused
        => LoggedIn Checked drop [DirectoryChanged];
    Cdup ["CDUP", "XCUP"] "CDUP" "changes to the directory above" failures Refused
        => LoggedIn Ignored drop [DirectoryChanged];
    Pwd ["PWD", "XPWD"] "PWD" "tells the current directory" => LoggedIn Ignored drop [CurrentDirectory];
    Mkd ["MKD", "XMKD"] "MKD <directory>" "makes a directory" failures Refused
        => LoggedIn Checked drop [DirectoryMade];
    Rmd ["RMD", "XRMD"] "RMD <directory>" "removes an empty directory" failures Refused
        => LoggedIn Checked drop [DirectoryRemoved];

    // How data is sent (RFC 959 section 4.1.2).
    Type ["TYPE"] "TYPE A | E [N | T | C] | I | L 8" "sets how files are represented"
        => LoggedIn Checked keep [TypeSet ParameterNotOffered];
    Stru ["STRU"] "STRU F | R | P" "sets the structure of files" => LoggedIn Checked keep [StructureSet];
    Mode ["MODE"] "MODE S | B | C | Z" "sets how files are transmitted" => LoggedIn Checked keep [ModeSet ParameterNotOffered];
    Port ["PORT"] "PORT <h1,h2,h3,h4,p1,p2>" "lets the server connect to the client (IPv4)"
        => LoggedIn Checked keep [Active EpsvAll ForeignAddress LowPort];
    Eprt ["EPRT"] "EPRT |<family>|<address>|<port>|" "lets the server connect to the client (RFC 2428)" feature "EPRT"
        => LoggedIn Checked keep [Active EpsvAll ForeignAddress LowPort FamilyNotOffered];
    Pasv ["PASV"] "PASV" "lets the client connect to the server (IPv4)" feature "PASV"
        => LoggedIn Ignored keep [Passive EpsvAll PassiveNeedsIpv4 NoPort NoResources];
    Epsv ["EPSV"] "EPSV [1 | 2 | ALL]" "lets the client connect to the server (RFC 2428)" feature "EPSV"
        => LoggedIn Checked keep [ExtendedPassive EpsvAllAccepted FamilyNotOffered NoPort NoResources];

    // Files.
    Retr ["RETR"] "RETR <file>" "sends a file" transfer Send failures Retrieve
        => LoggedIn Checked drop [MarkStanding MarkOpening Sent SentKept PeerReset PeerResetAnew Stalled StalledAnew
            ReadFailed FileShrank TlsBroken TlsBrokenAnew RestNotFollowed RestartInText RestartInPages];
    Stor ["STOR"] "STOR <file>" "stores a file" transfer Receive failures Store
        => LoggedIn Checked drop [MarkStanding MarkOpening Stored StoredKept UploadReset UploadResetKept UploadStalled
            UploadStalledKept WriteFailed RestNotFollowed RestartInText RestartInPages
            UploadTlsBroken UploadTlsBrokenKept UploadNoCloseNotify UploadNoCloseNotifyKept UploadTlsUnexpected RestartMarker UploadMalformed UploadCut UploadCutKept PageType];
    Stou ["STOU"] "STOU [<file>]" "stores a file under a name that is free" transfer Receive failures StoreUnique
        => LoggedIn Ignored drop [MarkStandingUnique MarkOpeningUnique Stored StoredKept UploadReset UploadStalled
            WriteFailed UploadTlsBroken UploadNoCloseNotify UploadTlsUnexpected RestartMarker UploadMalformed UploadCut PageType];
    Appe ["APPE"] "APPE <file>" "adds to the end of a file" transfer Receive failures Store
        => LoggedIn Checked drop [MarkStanding MarkOpening Stored StoredKept UploadReset UploadResetKept UploadStalled
            UploadStalledKept WriteFailed RestNotFollowed RestartInText RestartInPages
            UploadTlsBroken UploadTlsBrokenKept UploadNoCloseNotify UploadNoCloseNotifyKept UploadTlsUnexpected RestartMarker UploadMalformed UploadCut UploadCutKept PageType];
    Allo ["ALLO"] "ALLO <bytes> [R <bytes>]" "asks whether there is room"
        => LoggedIn Checked keep [SpaceFine SpaceUnknown SpaceShort];
    Rest ["REST"] "REST <offset>" "lets the next RETR, STOR or APPE begin there (RFC 3659)" feature "REST STREAM"
        => LoggedIn Checked drop [RestartAccepted];
    Abor ["ABOR"] "ABOR" "stops the transfer" => LoggedIn Ignored drop [Aborted NothingToAbort];
    Rnfr ["RNFR"] "RNFR <path>" "names what RNTO renames" failures File => LoggedIn Checked drop [RenamePending];
    Rnto ["RNTO"] "RNTO <path>" "gives it its new name" after Rnfr RntoWithoutRnfr failures Rename
        => LoggedIn Checked drop [Renamed];
    Dele ["DELE"] "DELE <file>" "removes a file" failures File => LoggedIn Checked drop [FileRemoved];

    // Listings and facts (RFC 959, RFC 3659).
    List ["LIST"] "LIST [<path>]" "lists for people" transfer Send failures Listing
        => LoggedIn Ignored drop [MarkStanding MarkOpening Sent SentKept PeerResetAnew StalledAnew TlsBrokenAnew ReadFailed];
    Nlst ["NLST"] "NLST [<path>]" "lists names only" transfer Send failures Listing
        => LoggedIn Ignored drop [MarkStanding MarkOpening Sent SentKept PeerResetAnew StalledAnew TlsBrokenAnew ReadFailed];
    Mlsd ["MLSD"] "MLSD [<directory>]" "lists a directory for programs" transfer Send failures Listing
        => LoggedIn Ignored drop [MarkStanding MarkOpening Sent SentKept PeerResetAnew StalledAnew TlsBrokenAnew ReadFailed];
    Mlst ["MLST"] "MLST [<path>]" "tells the facts of one file" failures Listing => LoggedIn Ignored drop [FactsOf];
    Stat ["STAT"] "STAT [<path>]" "tells the state of the session, or lists over the control connection" failures Status
        => LoggedIn Ignored keep [Status StatusDirectory StatusFile ListingTooLong];
    Size ["SIZE"] "SIZE <file>" "tells the size of a file in octets" feature "SIZE" failures Refused
        => LoggedIn Checked keep [Size SizeAscii];
    Mdtm ["MDTM"] "MDTM <file>" "tells when a file was modified, in UTC" feature "MDTM" failures Refused
        => LoggedIn Checked keep [Modified];
    Mfmt ["MFMT"] "MFMT <YYYYMMDDHHMMSS> <path>" "sets when a file was modified, in UTC" feature "MFMT" failures Listing
        => LoggedIn Checked drop [ModifiedSet];

    // About the server.
    Feat ["FEAT"] "FEAT" "lists the extensions (RFC 2389)" => Always Ignored keep [Features];
    Opts ["OPTS"] "OPTS UTF8 ON | OPTS MLST <fact;...> | OPTS MODE Z LEVEL <1-9> | OPTS MODE Z KEEP <0|1>" "sets options of commands (RFC 2389)"
        => Always Checked keep [NamesAreBytes FactsSet DeflateLevelSet DeflateStays DeflateCloses OptionUnknown];
    Syst ["SYST"] "SYST" "tells the kind of system" => Always Ignored drop [System];
    // Perl's Net::FTP asks for HELP ALLO once in a session, between its REST and its STOR.
    Help ["HELP"] "HELP [<command>]" "lists the commands, or explains one"
        => Always Ignored keep [HelpList HelpVerb HelpUnknown];
    Site ["SITE"] "SITE CHMOD <mode> <path> | HELP | QUOTA" "sets a mode, or tells the quota" failures Refused
        => LoggedIn Checked drop [HelpSite SiteUnknown FileModeSet Quota];
    Noop ["NOOP"] "NOOP" "does nothing, which keeps the session" => Always Ignored keep [Noop];
    Clnt ["CLNT"] "CLNT <name>" "tells the name of the client, for the log" feature "CLNT"
        => Always Ignored drop [ClientNoted];

    // Protection (RFC 4217).
    Auth ["AUTH"] "AUTH TLS | TLS-C | TLS-P | SSL" "begins TLS on the control connection (RFC 4217)" feature "AUTH TLS"
        => Always Checked drop [TlsBegins AuthInsideTls TlsNoCertificate TlsNotOffered BytesBehindAuth
            ParameterNotOffered];
    Pbsz ["PBSZ"] "PBSZ 0" "prepares PROT (RFC 4217)" feature "PBSZ"
        => Always Checked drop [BufferSizeSet PbszInClear];
    Prot ["PROT"] "PROT C | P" "says whether TLS protects data connections (RFC 4217)" feature "PROT"
        => Always Checked keep [ProtClear ProtPrivate ProtWithoutPbsz ProtClearRefused ProtLevel
            ParameterNotOffered];
    Ccc ["CCC"] "CCC" "ends TLS on the control connection (RFC 4217)" feature "CCC"
        => Always Ignored drop [ControlClear CccInClear CccRefused];

    // Known, and not offered.
    Adat ["ADAT"] "ADAT <base64>" "would go on with AUTH (RFC 2228)" => NotOffered Ignored drop [];
    Conf ["CONF"] "CONF <base64>" "would be a confidential command (RFC 2228)" => NotOffered Ignored drop [];
    Enc ["ENC"] "ENC <base64>" "would be a private command (RFC 2228)" => NotOffered Ignored drop [];
    Mic ["MIC"] "MIC <base64>" "would be an integrity-protected command (RFC 2228)" => NotOffered Ignored drop [];
    Host ["HOST"] "HOST <name>" "would choose a virtual host (RFC 7151)" => NotOffered Ignored drop [];
    Lang ["LANG"] "LANG <tag>" "would choose the language of replies (RFC 2640)" => NotOffered Ignored drop [];
    Smnt ["SMNT"] "SMNT <path>" "would mount another file system" => NotOffered Ignored drop [];
    Lprt ["LPRT"] "LPRT <...>" "would be PORT for long addresses (RFC 1639)" => NotOffered Ignored drop [];
    Lpsv ["LPSV"] "LPSV" "would be PASV for long addresses (RFC 1639)" => NotOffered Ignored drop [];
    Mff ["MFF"] "MFF <fact;...> <path>" "would set facts of a file" => NotOffered Ignored drop [];
    Mfct ["MFCT"] "MFCT <time> <path>" "would set when a file was made" => NotOffered Ignored drop [];
    Hash ["HASH"] "HASH <file>" "would tell the hash of a file" => NotOffered Ignored drop [];
    Avbl ["AVBL"] "AVBL [<directory>]" "would tell the space that is left" => NotOffered Ignored drop [];
}

impl Verb {
    /// Its row.
    pub const fn row(self) -> &'static Row {
        &VERBS[self as usize]
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.row().name()
    }

    /// The verb of this name, in any case.
    pub fn find(name: &[u8]) -> Option<Verb> {
        VERBS
            .iter()
            .find(|row| row.names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)))
            .map(|row| row.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_their_verbs_say() {
        for (index, row) in VERBS.iter().enumerate() {
            assert_eq!(row.verb as usize, index);
            for name in row.names {
                assert_eq!(Verb::find(name.to_lowercase().as_bytes()), Some(row.verb), "{name}");
            }
            assert!(row.syntax.starts_with(row.name()), "{}", row.name());
        }
    }

    #[test]
    fn every_situation_of_a_command_has_a_command() {
        // Said without a command, or before one is known.
        let others = [
            Greeting,
            Full,
            FullForAddress,
            TooFast,
            NoDescriptors,
            NotFtp,
            FirstLineTooLong,
            LineTooLong,
            LineEmpty,
            LineNul,
            Unknown,
        ];
        for situation in Situation::ALL {
            let by_verb = VERBS.iter().any(|row| row.may_answer(*situation));
            assert_ne!(by_verb, others.contains(situation), "{}", situation.id());
        }
    }
}
