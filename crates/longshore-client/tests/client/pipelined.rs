//! Many files over one data connection, and what becomes of those that stand behind one that fails.

use longshore_client::{Ahead, Content, Error, Memory, Mode, ModeChoice, Options, Refusal};

use crate::common::{Server, octets, soon};

const FILES: usize = 600;

fn ahead(mode: Mode, data: bool) -> Options {
    Options {
        mode: ModeChoice::Insist(mode),
        ahead: Ahead { commands: 256, data, ..Ahead::default() },
        ..Options::default()
    }
}

/// Lengths of all sorts, most of them small.
fn content(number: usize) -> Vec<u8> {
    let length = match number % 50 {
        0 => 0,
        49 => 300_000,
        small => small * 100,
    };
    octets(length, number as u64)
}

#[tokio::test]
async fn files_go_up_and_come_down_on_one_data_connection() {
    for mode in [Mode::Block, Mode::Compressed] {
        let server = Server::start();
        let (client, _running, transcript) = server.client(ahead(mode, true)).await;
        let up: Vec<_> = (0..FILES)
            .map(|number| client.store(number.to_string(), Content::new(content(number))))
            .collect();
        let down: Vec<_> =
            (0..FILES).map(|number| client.retrieve(number.to_string(), Memory::default())).collect();
        for transfer in up {
            assert_eq!(soon(transfer).await.expect("it is stored").reply.code, 250);
        }
        for (number, transfer) in down.into_iter().enumerate() {
            assert!(
                soon(transfer).await.expect("it comes").place.bytes() == content(number),
                "{mode:?} {number}"
            );
        }
        assert_eq!(transcript.count("> EPSV"), 1);
        assert_eq!(transcript.count("< 125") + transcript.count("< 150"), 2 * FILES);
    }
}

#[tokio::test]
async fn a_download_that_is_refused_leaves_the_others_alone() {
    let server = Server::start();
    for number in (0..FILES).filter(|number| number % 7 != 0) {
        server.store.insert(format!("/{number}"), content(number));
    }
    let (client, _running, transcript) = server.client(ahead(Mode::Block, false)).await;
    let down: Vec<_> =
        (0..FILES).map(|number| client.retrieve(number.to_string(), Memory::default())).collect();
    for (number, transfer) in down.into_iter().enumerate() {
        match soon(transfer).await {
            Ok(moved) => assert!(moved.place.bytes() == content(number), "{number}"),
            Err(failed) => {
                assert_eq!(number % 7, 0, "{}", failed.error);
                assert!(
                    matches!(failed.error, Error::Refused(Refusal::Replied { reply, .. }) if reply.code == 550)
                );
            }
        }
    }
    assert_eq!(transcript.count("> EPSV"), 1);
}

#[tokio::test]
async fn uploads_behind_one_that_is_refused_are_stored_under_their_own_names() {
    let server = Server::start();
    server.store.insert_directory("/taken");
    for data in [false, true] {
        let (client, _running, transcript) = server.client(ahead(Mode::Block, data)).await;
        let name = |number: usize| match number % 40 {
            17 => "taken".to_owned(),
            _ => format!("{data}-{number}"),
        };
        let up: Vec<_> =
            (0..FILES).map(|number| client.store(name(number), Content::new(content(number)))).collect();
        for (number, transfer) in up.into_iter().enumerate() {
            match soon(transfer).await {
                Ok(_) => assert_ne!(number % 40, 17),
                Err(failed) => assert_eq!(number % 40, 17, "{}", failed.error),
            }
        }
        for number in (0..FILES).filter(|number| number % 40 != 17) {
            let stored = server.store.contents(format!("/{}", name(number)));
            assert!(stored == Some(content(number)), "{data} {number}");
        }
        assert_eq!(transcript.count("> EPSV"), 1 + FILES.div_ceil(40), "one more behind each refusal");
    }
}

#[tokio::test]
async fn a_download_that_is_aborted_does_not_take_others_along() {
    let server = Server::start();
    for number in 0..40 {
        server.store.insert(format!("/{number}"), octets(200_000, number));
    }
    server.store.insert("/long", octets(30_000_000, 1));
    let (client, _running, _) = server.client(ahead(Mode::Block, false)).await;
    let before: Vec<_> =
        (0..20).map(|number| client.retrieve(number.to_string(), Memory::default())).collect();
    let long = client.retrieve("long", Memory::default());
    let behind: Vec<_> =
        (20..40).map(|number| client.retrieve(number.to_string(), Memory::default())).collect();
    let mut number = 0;
    for transfer in before {
        assert!(soon(transfer).await.expect("it comes").place.bytes() == octets(200_000, number));
        number += 1;
    }
    long.abort();
    let aborted = soon(long).await;
    // It may have come to its end before the ABOR.
    if let Err(failed) = aborted {
        assert!(matches!(failed.error, Error::Refused(Refusal::Aborted { .. })), "{}", failed.error);
    }
    for transfer in behind {
        assert!(soon(transfer).await.expect("it comes").place.bytes() == octets(200_000, number), "{number}");
        number += 1;
    }
}
