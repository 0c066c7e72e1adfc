//! The table of commands against the RFCs: which codes each command may be answered with.
//!
//! Not inside: whether the session ever says them; that is `coverage`.

use longshore_proto::reply::Situation::{self, *};
use longshore_proto::verbs::{VERBS, Verb};

/// Allowed after every command: RFC 959 section 5.4 lists them nearly everywhere, and its section 4.2 gives their
/// meaning without regard to the command.
const GENERAL: &[u16] = &[421, 500, 501, 502, 530];

/// The codes of each command beside the general ones, and where they stand.
const CODES: &[(Verb, &[u16], &str)] = &[
    (Verb::User, &[230, 331, 332, 232, 336], "RFC 959 5.4, RFC 2228 5"),
    (Verb::Pass, &[230, 202, 332, 503], "RFC 959 5.4"),
    (Verb::Acct, &[230, 202, 503], "RFC 959 5.4"),
    (Verb::Rein, &[120, 220], "RFC 959 5.4"),
    (Verb::Quit, &[221], "RFC 959 5.4"),
    (Verb::Cwd, &[250, 550], "RFC 959 5.4"),
    (Verb::Cdup, &[200, 550], "RFC 959 5.4"),
    (Verb::Pwd, &[257, 550], "RFC 959 5.4"),
    (Verb::Mkd, &[257, 550], "RFC 959 5.4"),
    (Verb::Rmd, &[250, 550], "RFC 959 5.4"),
    (Verb::Type, &[200, 504], "RFC 959 5.4"),
    (Verb::Stru, &[200, 504], "RFC 959 5.4"),
    (Verb::Mode, &[200, 504], "RFC 959 5.4"),
    (Verb::Port, &[200], "RFC 959 5.4"),
    (Verb::Eprt, &[200, 522], "RFC 2428 2"),
    (Verb::Pasv, &[227], "RFC 959 5.4"),
    (Verb::Epsv, &[229, 522], "RFC 2428 3"),
    (Verb::Retr, &[125, 150, 110, 226, 250, 425, 426, 451, 450, 550, 521, 522], "RFC 959 5.4, RFC 4217 10.2"),
    (
        Verb::Stor,
        &[125, 150, 110, 226, 250, 425, 426, 451, 551, 552, 532, 450, 452, 553, 521, 522],
        "RFC 959 5.4, RFC 4217 10.2",
    ),
    (
        Verb::Stou,
        &[125, 150, 110, 226, 250, 425, 426, 451, 551, 552, 532, 450, 452, 553, 521, 522],
        "RFC 959 5.4, RFC 4217 10.2",
    ),
    (
        Verb::Appe,
        &[125, 150, 110, 226, 250, 425, 426, 451, 551, 552, 532, 450, 550, 452, 553, 521, 522],
        "RFC 959 5.4, RFC 4217 10.2",
    ),
    (Verb::Allo, &[200, 202, 504], "RFC 959 5.4"),
    (Verb::Rest, &[350], "RFC 959 5.4"),
    (Verb::Abor, &[225, 226], "RFC 959 5.4"),
    (Verb::Rnfr, &[350, 450, 550], "RFC 959 5.4"),
    (Verb::Rnto, &[250, 532, 553, 503], "RFC 959 5.4"),
    (Verb::Dele, &[250, 450, 550], "RFC 959 5.4"),
    (Verb::List, &[125, 150, 226, 250, 425, 426, 451, 450, 521, 522], "RFC 959 5.4, RFC 4217 10.2"),
    (Verb::Nlst, &[125, 150, 226, 250, 425, 426, 451, 450, 521, 522], "RFC 959 5.4, RFC 4217 10.2"),
    (Verb::Mlsd, &[125, 150, 226, 250, 425, 426, 451, 450, 550, 521, 522], "RFC 3659 7.2.1, RFC 4217 10.2"),
    (Verb::Mlst, &[250, 550, 553, 503, 504, 450, 451], "RFC 3659 7.2.1"),
    (Verb::Stat, &[211, 212, 213, 450], "RFC 959 5.4"),
    (Verb::Size, &[213, 550], "RFC 3659 4.1"),
    (Verb::Mdtm, &[213, 550], "RFC 3659 3.1"),
    (Verb::Mfmt, &[213, 550, 450, 451], "draft-somers-ftp-mfxx-04 3.1"),
    (Verb::Feat, &[211], "RFC 2389 3.2"),
    (Verb::Opts, &[200, 451], "RFC 2389 4"),
    (Verb::Syst, &[215], "RFC 959 5.4"),
    (Verb::Help, &[211, 214], "RFC 959 5.4"),
    (
        Verb::Site,
        &[200, 202, 550],
        "RFC 959 5.4; 550 for a path that CHMOD may not change, as for other commands",
    ),
    (Verb::Noop, &[200], "RFC 959 5.4"),
    (Verb::Clnt, &[200], "no RFC; 200 of RFC 959 4.2.2"),
    (Verb::Auth, &[234, 334, 502, 504, 534, 431], "RFC 2228 3, RFC 4217 4.3"),
    (Verb::Pbsz, &[200, 503], "RFC 2228 3"),
    (Verb::Prot, &[200, 503, 504, 536, 534, 431], "RFC 2228 3"),
    (Verb::Ccc, &[200, 533, 534], "RFC 2228 3"),
    (Verb::Adat, &[235, 335, 503, 535], "RFC 2228 3"),
    (Verb::Conf, &[535, 533], "RFC 2228 3"),
    (Verb::Enc, &[535, 533], "RFC 2228 3"),
    (Verb::Mic, &[535, 533], "RFC 2228 3"),
    (Verb::Host, &[220, 503, 504], "RFC 7151 3.2"),
    (Verb::Lang, &[200, 504], "RFC 2640 4.1"),
    (Verb::Smnt, &[202, 250, 550], "RFC 959 5.4"),
    (Verb::Lprt, &[228, 200, 521], "RFC 1639"),
    (Verb::Lpsv, &[228, 521], "RFC 1639"),
    (Verb::Mff, &[213, 550, 504], "draft-somers-ftp-mfxx-04 5.1"),
    (Verb::Mfct, &[213, 550, 450, 451], "draft-somers-ftp-mfxx-04 4.1"),
    (Verb::Hash, &[213, 450, 504, 550, 551, 552, 553, 556], "draft-bryan-ftpext-hash"),
    (Verb::Avbl, &[213], "draft-peterson-streamlined-ftp-command-extensions"),
];

const TRANSFERS: &[Verb] =
    &[Verb::Retr, Verb::Stor, Verb::Stou, Verb::Appe, Verb::List, Verb::Nlst, Verb::Mlsd];
const RESTARTED: &[Verb] = &[Verb::Retr, Verb::Stor, Verb::Appe];
const LISTS: &[Verb] = &[Verb::List, Verb::Nlst];

/// What goes beyond the RFCs, and why.
const EXCEPTIONS: &[(Situation, &[Verb], &str)] = &[
    (NothingArranged, TRANSFERS, "a valid command at the wrong time; RFC 959's default port is not offered"),
    (
        RestNotFollowed,
        RESTARTED,
        "a valid command at the wrong time; to begin at 0 would spoil the client's file",
    ),
    (RestartBeyondEnd, RESTARTED, "RFC 1123 4.1.3.4 says this code at the transfer"),
    (RestartInText, RESTARTED, "RFC 1123 4.1.3.4 says this code at the transfer"),
    (EpsvAll, &[Verb::Pasv, Verb::Port, Verb::Eprt], "RFC 2428 4 refuses them and names no code"),
    (
        EpsvAllAccepted,
        &[Verb::Epsv],
        "RFC 2428 4 names no code for ALL, which opens no port to tell with 229",
    ),
    (NoPort, &[Verb::Pasv, Verb::Epsv], "RFC 959 has no code for a server without a free port"),
    (NoResources, &[Verb::Pasv, Verb::Epsv], "RFC 959 has no code for a server without a free socket"),
    (ForeignAddress, &[Verb::Port, Verb::Eprt], "RFC 2577 3: 504, parameter not implemented"),
    (LowPort, &[Verb::Port, Verb::Eprt], "RFC 2577 3: 504, parameter not implemented"),
    (
        AuthInsideTls,
        &[Verb::Auth],
        "RFC 4217 names no code for a second AUTH; a valid command at the wrong time",
    ),
    (SpaceShort, &[Verb::Allo], "what the upload itself would be told"),
    (
        DirectoryChanged,
        &[Verb::Cdup],
        "RFC 959 5.4 says 200, its appendix II the codes of CWD; so do all servers",
    ),
    (HelpSite, &[Verb::Site], "SITE HELP is HELP"),
    (NotFound, LISTS, "RFC 959 has 450 only, which promises that trying again may help"),
    (NoPermission, LISTS, "as above"),
    (NotADirectory, LISTS, "as above"),
    (IsADirectory, LISTS, "as above"),
    (NotAFile, LISTS, "as above"),
    (Exists, LISTS, "as above"),
    (NotEmpty, LISTS, "as above"),
    (NameImpossible, LISTS, "as above"),
];

fn codes(verb: Verb) -> &'static [u16] {
    let rows: Vec<_> = CODES.iter().filter(|row| row.0 == verb).collect();
    assert_eq!(rows.len(), 1, "{} stands in the table of codes once", verb.name());
    assert!(!rows[0].2.is_empty());
    rows[0].1
}

fn is_excepted(verb: Verb, situation: Situation) -> bool {
    EXCEPTIONS.iter().any(|(excepted, verbs, _)| *excepted == situation && verbs.contains(&verb))
}

#[test]
fn every_answer_has_a_code_that_its_command_may_have() {
    for row in VERBS {
        let codes = codes(row.verb);
        for &situation in Situation::ALL.iter().filter(|situation| row.may_answer(**situation)) {
            let code = situation.code();
            assert!(
                GENERAL.contains(&code) || codes.contains(&code) || is_excepted(row.verb, situation),
                "{} may be answered {code} {}, which no RFC lists",
                row.name(),
                situation.id()
            );
        }
    }
}

#[test]
fn every_exception_is_needed() {
    for (situation, verbs, reason) in EXCEPTIONS {
        assert!(!reason.is_empty());
        for verb in *verbs {
            let (name, id, code) = (verb.name(), situation.id(), situation.code());
            assert!(verb.row().may_answer(*situation), "{name} is never answered {id}");
            let listed = codes(*verb).contains(&code) || GENERAL.contains(&code);
            assert!(!listed, "{code} is listed for {name} anyway");
        }
    }
}

#[test]
fn marks_and_completions_belong_to_transfers() {
    for row in VERBS {
        for &situation in Situation::ALL.iter().filter(|situation| row.may_answer(**situation)) {
            if matches!(situation.code(), 100..200 | 425 | 426) && ![NoPort, NoResources].contains(&situation)
            {
                assert!(TRANSFERS.contains(&row.verb), "{} is answered {}", row.name(), situation.id());
            }
        }
        assert_eq!(row.transfer.is_some(), TRANSFERS.contains(&row.verb), "{}", row.name());
    }
}
