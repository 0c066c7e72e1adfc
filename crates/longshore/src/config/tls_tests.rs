//! `[tls]`, `[[certificate]]`, `[[listener]]` and what accounts say about TLS: what they mean, and what makes no sense.

use longshore_accounts::{CertificateRule, DataPeer, DataSession, TlsNeed, TlsRules, UploadEnd};
use longshore_server::tls::{CertificateFiles, Version};
use longshore_server::{ListenerOptions, ListenerTls};

use super::keys::{ACCOUNT, CERTIFICATE, Key, LISTENER, Presence, TLS};
use super::model::Settings;
use super::tests::{account, check_problems, check_refused, environment, read};
use super::{Clients, Listener, Tls};

/// All that a table may say, and each the other way round than the default.
const ALL: TlsRules = TlsRules {
    need: Some(TlsNeed::Data),
    data_session: Some(DataSession::Require),
    data_peer: Some(DataPeer::AddressOrProof),
    upload_end: Some(UploadEnd::Refuse),
};
const ALL_BUT_NEED: &str = "data_session = \"require\"\ndata_peer = \"address-or-proof\"\n\
                            upload_end_without_close_notify = \"refuse\"\n";

#[test]
fn every_key_means_what_it_says() {
    let text = format!(
        "[tls]\ncertificate = \"/a/chain\"\nkey = \"/a/key\"\nminimum_version = \"1.3\"\nrequire = \"data\"\n\
         allow_ccc = true\nclient_certificates = \"require\"\nclient_authorities = \"/a/clients\"\n{ALL_BUT_NEED}\
         [[certificate]]\nfile = \"/b/both\"\nnames = [\"b.example\", \"*.b.example\"]\n\
         [[certificate]]\nfile = \"/c/chain\"\nkey = \"/c/key\"\n"
    );
    let named = CertificateFiles {
        names: vec!["b.example".to_owned(), "*.b.example".to_owned()],
        ..CertificateFiles::new("/b/both", "/b/both")
    };
    let expected = Tls {
        offer: true,
        certificates: vec![
            CertificateFiles::new("/a/chain", "/a/key"),
            named,
            CertificateFiles::new("/c/chain", "/c/key"),
        ],
        minimum_version: Version::Tls13,
        rules: ALL,
        allow_ccc: true,
        clients: Clients::Require,
        authorities: Some("/a/clients".into()),
    };
    assert_eq!(read(&text).expect("it reads well").tls, expected);
    let both = read("[tls]\ncertificate = \"/a\"\n").expect("it reads well").tls.certificates;
    assert_eq!(both, [CertificateFiles::new("/a", "/a")]);
    assert!(!read("[tls]\noffer = false\n").expect("it reads well").tls.offer);
    let state = read("[server]\nstate_directory = \"/s\"\n").expect("it reads well").server.state_directory;
    assert_eq!(state.as_deref(), Some(std::path::Path::new("/s")));
}

#[test]
fn the_words_of_rules() {
    let rules = |text: &str| read(&format!("[tls]\n{text}\n")).expect("it reads well").tls.rules;
    let default = Tls::default().rules;
    for (text, expected) in [
        ("", default),
        ("require = \"nothing\"", TlsRules { need: Some(TlsNeed::Nothing), ..default }),
        ("require = \"login\"", TlsRules { need: Some(TlsNeed::Login), ..default }),
        ("data_session = \"prefer\"", TlsRules { data_session: Some(DataSession::Prefer), ..default }),
        ("data_session = \"off\"", TlsRules { data_session: Some(DataSession::Off), ..default }),
        ("data_peer = \"address\"", TlsRules { data_peer: Some(DataPeer::Address), ..default }),
        (
            "upload_end_without_close_notify = \"accept\"",
            TlsRules { upload_end: Some(UploadEnd::Accept), ..default },
        ),
    ] {
        assert_eq!(rules(text), expected, "{text}");
    }
}

#[test]
fn where_it_listens() {
    let at = |address: &str, tls| Listener::new(address.parse().expect("an address"), tls);
    let listen = |text: &str| read(text).expect("it reads well").server.listen;
    let table = format!(
        "[[listener]]\naddress = \"0.0.0.0:990\"\ntls = \"implicit\"\nrequire = \"data\"\n{ALL_BUT_NEED}\
         [[listener]]\naddress = \"127.0.0.1:21\"\ntls = \"off\"\n[[listener]]\naddress = \"127.0.0.1:22\"\n"
    );
    let mut tables = vec![
        at("0.0.0.0:990", ListenerTls::Implicit),
        at("127.0.0.1:21", ListenerTls::Off),
        at("127.0.0.1:22", ListenerTls::Explicit),
    ];
    tables[0].options = ListenerOptions { tls: ListenerTls::Implicit, rules: ALL };
    assert_eq!(listen(&table), tables, "instead of the default");
    let both = listen(&format!("[server]\nlisten = [\"[::]:21\"]\n{table}"));
    assert_eq!(both[0], at("[::]:21", ListenerTls::Explicit));
    assert_eq!(both[1..], tables);
    let variables = environment(&[("LONGSHORE_SERVER_LISTEN", "[\"[::1]:5\"]")]);
    let both = Settings::read("", &table, &variables).expect("it reads well").server.listen;
    assert_eq!(both.len(), 4, "{both:?}");
}

#[test]
fn what_accounts_ask_of_tls() {
    let asks = "[tls]\nclient_certificates = \"request\"\nclient_authorities = \"/a\"\n";
    let text = format!("{}require_tls = \"data\"\n{ALL_BUT_NEED}", account(""));
    let read_account = |text: &str| read(text).expect("it reads well").accounts.remove(0);
    assert_eq!(read_account(&text).tenancy.account("camera", "tree".to_owned()).tls, ALL);
    assert_eq!(read_account(&account("")).tenancy.tls, TlsRules::default());
    let anonymous = read("[anonymous]\nroot = \"/pub\"\nrequire_tls = \"login\"\n").expect("it reads well");
    assert_eq!(anonymous.anonymous.expect("it is there").tls.need, Some(TlsNeed::Login));

    let digits = ["AB"; 32];
    let (colons, small) = (digits.join(":"), digits.concat().to_lowercase());
    let list = format!("certificates = [\"CN=a,O=B\", \"sha256:{colons}\", \"SHA256:{small}\"]\n");
    let alone = format!("{asks}[[account]]\nname = \"a\"\nroot = \"/a\"\n{list}");
    let read = read_account(&alone);
    let fingerprint = CertificateRule::Fingerprint(digits.concat());
    let expected = [CertificateRule::Subject("CN=a,O=B".to_owned()), fingerprint.clone(), fingerprint];
    assert_eq!((read.hash.is_none(), &read.certificates[..]), (true, &expected[..]));
    // Beside a password nobody need be asked.
    assert_eq!(read_account(&account(&list)).certificates.len(), 3);
}

#[test]
fn what_makes_no_sense() {
    check_refused("[tls]\nkey = \"/k\"\n", &["file.toml:2: tls.key needs tls.certificate beside it"]);
    check_refused(
        "[tls]\nclient_certificates = \"request\"\n",
        &["file.toml:2: tls.client_certificates needs tls.client_authorities beside it"],
    );
    check_refused(
        "[tls]\nclient_authorities = \"/a\"\n",
        &["file.toml:2: tls.client_authorities is for nothing without tls.client_certificates"],
    );
    check_refused(
        "[tls]\noffer = false\nrequire = \"login\"\n",
        &["file.toml:3: tls.require asks for what tls.offer = false refuses"],
    );
    check_refused(
        "[tls]\noffer = false\n[[listener]]\naddress = \"0.0.0.0:990\"\ntls = \"implicit\"\n",
        &["file.toml:5: listener.tls is \"implicit\", and tls.offer is false"],
    );
    check_refused(
        "[tls]\nrequire = \"login\"\n[[listener]]\naddress = \"0.0.0.0:21\"\ntls = \"off\"\n",
        &["file.toml:5: nobody could log in here: TLS is required (by tls.require) and not offered"],
    );
    check_refused(
        "[[listener]]\naddress = \"0.0.0.0:21\"\ntls = \"off\"\nrequire = \"data\"\n",
        &["file.toml:4: nobody could log in here: TLS is required (by listener.require) and not offered"],
    );
    check_refused(
        "[[listener]]\naddress = \"0.0.0.0:21\"\n[[listener]]\naddress = \"0.0.0.0:21\"\n",
        &["file.toml:4: there are two listeners for 0.0.0.0:21"],
    );
    check_refused(
        "[server]\nlisten = [\"0.0.0.0:21\"]\n[[listener]]\naddress = \"0.0.0.0:21\"\n",
        &["file.toml:2: server.listen has 0.0.0.0:21 too, which has a [listener] table"],
    );
    check_refused(
        "[[account]]\nname = \"a\"\nroot = \"/a\"\ncertificates = [\"CN=a\"]\n",
        &["file.toml:4: account.certificates are never asked for: tls.client_certificates is \"off\""],
    );
    check_refused(
        &account("certificates = [\"alice\"]\n"),
        &[
            "file.toml:5: account.certificates is \"alice\" (\"alice\" is neither a subject nor a fingerprint)",
        ],
    );
    check_refused(
        &account("certificates = [\"sha256:AB\"]\n"),
        &["is \"sha256:AB\" (a fingerprint by SHA-256 has 64 hexadecimal digits)"],
    );
    check_refused("[[account]]\nname = \"a\"\nroot = \"/a\"\ncertificates = []\n", &["(the list is empty)"]);
    check_refused("[[certificate]]\nkey = \"/k\"\n", &["file.toml:1: [certificate] needs the key file"]);
    check_refused("[certificate]\nfile = \"/k\"\n", &["is written as a section [[certificate]]"]);
}

#[test]
fn all_mistakes_of_tls_are_told_at_once() {
    check_refused(
        "[tls]\noffer = 1\ncertificate = \"chain.pem\"\nminimum_version = \"1.1\"\nrequire = \"all\"\n\
         data_session = \"maybe\"\nclient_certificate = \"off\"\n[[listener]]\naddress = \"990\"\n\
         tls = \"both\"\ndata_peer = \"any\"\n[[certificate]]\nfile = \"/a\"\nnames = [\"a b\"]\n",
        &[
            "file.toml:2: tls.offer is 1; expected true or false",
            "file.toml:3: tls.certificate is \"chain.pem\"; expected the absolute path of a file in PEM",
            "file.toml:4: tls.minimum_version is \"1.1\"; expected \"1.2\" or \"1.3\"",
            "file.toml:5: tls.require is \"all\"; expected \"nothing\", \"login\" or \"data\"",
            "file.toml:6: tls.data_session is \"maybe\"; expected \"prefer\", \"require\" or \"off\"",
            "file.toml:7: [tls] has no key client_certificate; did you mean client_certificates?",
            "file.toml:9: listener.address is \"990\"; expected an address with a port",
            "file.toml:10: listener.tls is \"both\"; expected \"explicit\", \"implicit\" or \"off\"",
            "file.toml:11: listener.data_peer is \"any\"; expected \"address\" or \"address-or-proof\"",
            "file.toml:14: certificate.names is \"a b\"; expected a list of names of hosts",
        ],
    );
}

#[test]
fn the_environment_speaks_of_tls_too() {
    let variables = environment(&[
        ("LONGSHORE_TLS_CERTIFICATE", "/e/chain"),
        ("LONGSHORE_TLS_KEY", "/e/key"),
        ("LONGSHORE_TLS_REQUIRE", "data"),
        ("LONGSHORE_TLS_MINIMUM_VERSION", "1.3"),
        ("LONGSHORE_SERVER_STATE_DIRECTORY", "/e/state"),
    ]);
    let file = "[tls]\ncertificate = \"/f/chain\"\n[[certificate]]\nfile = \"/g\"\n";
    let read = Settings::read("", file, &variables).expect("it reads well");
    let expected = [CertificateFiles::new("/e/chain", "/e/key"), CertificateFiles::new("/g", "/g")];
    assert_eq!(read.tls.certificates, expected);
    assert_eq!((read.tls.rules.need, read.tls.minimum_version), (Some(TlsNeed::Data), Version::Tls13));
    check_problems(
        Settings::read("", "", &environment(&[("LONGSHORE_TLS_OFER", "false")])),
        &["LONGSHORE_TLS_OFER: [tls] has no such key; did you mean LONGSHORE_TLS_OFFER?"],
    );
}

/// The page for operators has a row for each key, with its default.
#[test]
fn the_page_of_the_configuration_is_complete() {
    let page = include_str!("../../../../docs/config.md");
    // A table is what stands between its head and the next empty line.
    let check = |head: &str, keys: &mut dyn Iterator<Item = &Key>| {
        let (_, table) = page.split_once(&format!("| key of {head} | default |")).expect(head);
        let table = table.split("\n\n").next().unwrap_or_default();
        for key in keys {
            let default = match key.presence {
                Presence::Default => format!("`{}`", key.value),
                Presence::Optional => "none".to_owned(),
                Presence::Required => "needed".to_owned(),
            };
            let row = format!("| `{}` | {default} | ", key.name);
            assert!(table.contains(&row), "{row:?} is not in the table of {head}:{table}");
        }
    };
    check("`[tls]`", &mut TLS.keys.iter());
    check("`[[certificate]]`", &mut CERTIFICATE.keys.iter());
    check("`[[listener]]`", &mut LISTENER.keys.iter());
    let of_tls = ["require_tls", "certificates"];
    let shared = |key: &&Key| TLS.keys.iter().any(|other| other.name == key.name);
    let mut accounts = ACCOUNT.keys.iter().filter(|key| of_tls.contains(&key.name) || shared(key));
    check("`[[account]]` and `[anonymous]`", &mut accounts);
}
