//! The same under TLS, whose data connections must resume the session of their control connection.

use longshore_client::{
    Ahead, ClientTls, Content, Error, Loss, Memory, Mode, ModeChoice, Options, Refusal, RouteChoice, Setup,
    Trust, Version,
};

use crate::common::{NAME, Server, begin, octets, soon};

#[tokio::test]
async fn octets_come_back_in_each_mode_and_version() {
    let server = Server::start();
    for version in [Version::Tls12, Version::Tls13] {
        for mode in [Mode::Stream, Mode::Block, Mode::Compressed, Mode::Deflate] {
            for route in [RouteChoice::Passive, RouteChoice::Active { address: None }] {
                let options = Options { mode: ModeChoice::Insist(mode), route, ..Options::default() };
                let (client, _running, _) = server.secured(options, version).await;
                for length in [0, 1, 20_000, 1_000_003] {
                    let content = octets(length, 5);
                    let stored = soon(client.store("file", Content::new(content.clone()))).await;
                    stored.unwrap_or_else(|error| panic!("{version:?} {mode:?} {length}: {error}"));
                    assert!(server.store.contents("/file") == Some(content.clone()));
                    let moved = soon(client.retrieve("file", Memory::default())).await;
                    let moved =
                        moved.unwrap_or_else(|error| panic!("{version:?} {mode:?} {length}: {error}"));
                    assert!(moved.place.bytes() == content, "{version:?} {mode:?} {length}");
                }
            }
        }
    }
}

#[tokio::test]
async fn many_files_need_one_handshake() {
    let server = Server::start();
    let options = Options {
        mode: ModeChoice::Prefer(Mode::Block),
        ahead: Ahead { commands: 256, data: true, ..Ahead::default() },
        ..Options::default()
    };
    let (client, running, transcript) = server.secured(options, Version::Tls13).await;
    let up: Vec<_> =
        (0..300).map(|number| client.store(number.to_string(), Content::new(octets(4096, number)))).collect();
    for transfer in up {
        soon(transfer).await.expect("it is stored");
    }
    let down: Vec<_> =
        (0..300).map(|number| client.retrieve(number.to_string(), Memory::default())).collect();
    for (number, transfer) in down.into_iter().enumerate() {
        assert!(soon(transfer).await.expect("it comes").place.bytes() == octets(4096, number as u64));
    }
    assert_eq!(transcript.count("> EPSV"), 1);
    client.quit().await.expect("it may be");
    assert_eq!(running.await.expect("it runs to its end"), Loss::Quit);
}

#[tokio::test]
async fn a_certificate_that_is_not_the_right_one_is_refused_and_told_of() {
    let server = Server::start();
    let other = server.fingerprint.replace(['0', '1', '2', '3', '4', '5', '6', '7'], "9");
    let tls = ClientTls::new(&Trust::Fingerprint(other), Version::Tls12).expect("a fingerprint");
    let setup = Setup { tls: Some(tls.session(NAME).expect("a name")), ..Setup::default() };
    let (client, running, transcript) = begin(server.address, setup).await;
    let error = client.start_tls().await.expect_err("it is another certificate");
    let login = client.login("anna", "correct horse").await.expect_err("nothing goes in clear");
    assert!(error.to_string().contains(&server.fingerprint), "{error}");
    assert!(matches!(error, Error::Refused(Refusal::Lost { why: Loss::TlsFailed(_), .. })), "{error:?}");
    assert!(matches!(login, Error::Refused(Refusal::Lost { .. }) | Error::Abandoned));
    assert!(matches!(running.await, Ok(Loss::TlsFailed(_))));
    assert_eq!(transcript.count("> USER"), 0);
}

#[tokio::test]
async fn without_trust_there_is_no_tls() {
    let server = Server::start();
    let (client, _running, transcript) = begin(server.address, Setup::default()).await;
    let error = client.start_tls().await.expect_err("nobody is trusted");
    assert!(error.to_string().contains("say whose certificate is to be trusted"), "{error}");
    assert_eq!(transcript.count("> USER"), 0);
}

#[tokio::test]
async fn a_source_that_fails_leaves_no_file_that_looks_whole() {
    let server = Server::start();
    for mode in [Mode::Stream, Mode::Block] {
        let options = Options { mode: ModeChoice::Insist(mode), ..Options::default() };
        let (client, _running, _) = server.secured(options, Version::Tls13).await;
        // It is asked to begin behind its end.
        let start = longshore_client::StoreStart::At(10);
        let form = longshore_client::FileForm::default();
        server.store.insert("/file", "0123456789");
        let failed =
            soon(client.store_at("file", start, form, Content::new(*b"short"))).await.expect_err("cut");
        assert!(failed.error.to_string().contains("there are 5 octets"), "{}", failed.error);
        assert_eq!(server.store.contents("/file").as_deref(), Some(b"0123456789".as_slice()), "{mode:?}");
    }
}
