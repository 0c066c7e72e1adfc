//! Files go up and come down as they are, in every mode, type and structure, both ways to connect.

use std::time::Duration;

use longshore_client::{
    Content, End, Error, Fate, FileForm, ListForm, Loss, Memory, Mode, ModeChoice, Options, Refusal,
    Representation, RouteChoice, Sink, Source, Step, StoreStart, Structure, Version,
};

use crate::common::{Server, octets, soon};

const MODES: [Mode; 4] = [Mode::Stream, Mode::Block, Mode::Compressed, Mode::Deflate];

fn by(mode: Mode) -> Options {
    Options { mode: ModeChoice::Insist(mode), ..Options::default() }
}

#[tokio::test]
async fn octets_come_back_in_each_mode_and_from_each_side() {
    let server = Server::start();
    for mode in MODES {
        for route in [RouteChoice::Passive, RouteChoice::Active { address: None }] {
            let (client, _running, _) = server.client(Options { route, ..by(mode) }).await;
            for length in [0, 1, 4096, 65_535, 65_536, 1_000_003] {
                let content = octets(length, length as u64);
                let stored = soon(client.store("file", Content::new(content.clone()))).await;
                assert_eq!(stored.expect("it is stored").bytes, length as u64, "{mode:?} {route:?}");
                assert_eq!(server.store.contents("/file").as_deref(), Some(content.as_slice()));
                let moved = soon(client.retrieve("file", Memory::default())).await.expect("it comes");
                assert!(moved.place.bytes() == content, "{mode:?} {route:?} {length}");
            }
        }
    }
}

#[tokio::test]
async fn text_and_records_come_back_as_they_were() {
    let server = Server::start();
    let text = b"one\ntwo\n\nfour without an end".repeat(900);
    for mode in MODES {
        let (client, _running, _) = server.client(by(mode)).await;
        for representation in Representation::ALL {
            for structure in Structure::ALL {
                let form = FileForm { representation, structure };
                let source = Content::new(text.clone());
                let stored = soon(client.store_at("text", StoreStart::Replace, form, source)).await;
                stored.unwrap_or_else(|error| panic!("{mode:?} {form:?}: {error}"));
                assert_eq!(server.store.contents("/text").as_deref(), Some(text.as_slice()));
                let moved = soon(client.retrieve_from("text", 0, form, Memory::default())).await;
                assert!(moved.expect("it comes").place.bytes() == text, "{mode:?} {form:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_transfer_goes_on_where_it_is_told() {
    let server = Server::start();
    let content = octets(100_000, 7);
    server.store.insert("/file", content.clone());
    let (client, _running, _) = server.client(by(Mode::Block)).await;
    let rest = soon(client.retrieve_from("file", 60_000, FileForm::default(), Memory::default())).await;
    assert!(rest.expect("it comes").place.bytes() == &content[60_000..]);
    for (name, start) in [("at", StoreStart::At(40_000)), ("end", StoreStart::Append)] {
        server.store.insert(format!("/{name}"), content[..40_000].to_vec());
        let source = match start {
            StoreStart::At(_) => Content::new(content.clone()),
            _ => Content::new(&content[40_000..]),
        };
        let stored = soon(client.store_at(name, start, FileForm::default(), source)).await;
        assert_eq!(stored.expect("it is stored").bytes, 60_000);
        assert!(server.store.contents(format!("/{name}")) == Some(content.clone()), "{name}");
    }
}

#[tokio::test]
async fn what_is_asked_for_is_answered() {
    let server = Server::start();
    server.store.insert("/pub/a", "abc");
    let (client, running, transcript) = server.client(Options::default()).await;
    assert_eq!(client.current_directory().await, Ok(b"/".to_vec()));
    client.change_directory("pub").await.expect("it is there");
    assert_eq!(client.size("a").await, Ok(3));
    client.rename("a", "b").await.expect("it may be");
    let refused = client.size("a").await.expect_err("it is gone");
    assert!(
        matches!(refused, Error::Refused(Refusal::Replied { command: "SIZE", reply }) if reply.code == 550)
    );
    assert_eq!(client.make_directory("d").await, Ok(b"/pub/d".to_vec()));
    let list = soon(client.list(ListForm::Names, None, Memory::default())).await.expect("it is listed");
    let mut names: Vec<&[u8]> = list.place.bytes().split(|&byte| byte == b'\n').collect();
    names.sort_unstable();
    assert_eq!(
        names.iter().map(|name| name.trim_ascii_end()).collect::<Vec<_>>(),
        [b"".as_slice(), b"b", b"d"]
    );
    client.remove_directory("d").await.expect("it may be");
    client.remove_file("b").await.expect("it may be");
    assert_eq!(client.raw("NOOP").await.expect("it is known").code, 200);
    assert!(client.features().await.expect("there are some").has("MLST"));
    assert_eq!(client.quit().await.expect("it may be").map(|reply| reply.code), Some(221));
    assert_eq!(running.await.expect("it runs to its end"), Loss::Quit);
    assert_eq!(transcript.lines().iter().filter(|line| line.contains("horse")).count(), 0);
    let over = Error::Refused(Refusal::Lost { fate: Fate::NotDone, why: Loss::Quit });
    assert_eq!(client.noop().await, Err(over.clone()));
    let late = client.store("late", Content::new(*b"late")).await.expect_err("the connection is over");
    assert_eq!(late.error, over);
    assert!(late.place.is_some());
}

#[tokio::test]
async fn whoever_leaves_says_so_and_what_was_asked_is_done_first() {
    let server = Server::start();
    let (client, running, transcript) = server.client(by(Mode::Block)).await;
    let transfer = client.store("file", Content::new(octets(1000, 1)));
    drop(client);
    soon(transfer).await.expect("it is stored");
    assert_eq!(soon(running).await.expect("it runs to its end"), Loss::Quit);
    assert_eq!(transcript.count("> QUIT"), 1);
    assert_eq!(transcript.count("< 221"), 1);
}

/// A source that fails, or never gives anything, behind its first octets.
#[derive(Debug)]
struct Poor {
    waits: bool,
    given: bool,
}

impl Source for Poor {
    fn start(&mut self, _: u64) -> Step<'_, ()> {
        self.given = false;
        Box::pin(async { Ok(()) })
    }

    fn read<'a>(&'a mut self, buffer: &'a mut Vec<u8>) -> Step<'a, ()> {
        Box::pin(async move {
            if !std::mem::replace(&mut self.given, true) {
                buffer.resize(buffer.capacity(), 7);
                return Ok(());
            }
            if self.waits {
                std::future::pending::<()>().await;
            }
            Err(std::io::Error::other("the disk is worn out"))
        })
    }
}

#[tokio::test]
async fn a_source_that_fails_leaves_the_old_file() {
    let server = Server::start();
    for mode in MODES {
        server.store.insert("/file", "as it was");
        let (client, _running, _) = server.client(by(mode)).await;
        let failed = soon(client.store("file", Poor { waits: false, given: false })).await.expect_err("cut");
        assert!(failed.place.is_some());
        let Error::Refused(Refusal::Cut { end: Some(End::Local(why)), reply: Some(reply), .. }) =
            failed.error
        else {
            panic!("{mode:?}: {:?}", failed.error)
        };
        assert_eq!((why.as_str(), reply.code), ("the disk is worn out", 426), "{mode:?}");
        assert!(server.store.contents("/file").as_deref() == Some(b"as it was"), "{mode:?}");
        // The session goes on.
        soon(client.store("file", Content::new(octets(10, 1)))).await.expect("it is stored");
    }
}

#[tokio::test]
async fn an_upload_that_is_aborted_or_forgotten_leaves_the_old_file() {
    let server = Server::start();
    for mode in MODES {
        for forgotten in [false, true] {
            server.store.insert("/file", "as it was");
            let (client, _running, transcript) = server.client(by(mode)).await;
            let transfer = client.store("file", Poor { waits: true, given: false });
            // The transfer runs when its mark has come.
            while transcript.count("< 125") + transcript.count("< 150") == 0 {
                tokio::task::yield_now().await;
            }
            if forgotten {
                drop(transfer);
            } else {
                transfer.abort();
                let failed = soon(transfer).await.expect_err("aborted");
                assert!(
                    matches!(failed.error, Error::Refused(Refusal::Aborted { .. })),
                    "{:?}",
                    failed.error
                );
            }
            client.noop().await.expect("the session goes on");
            assert!(server.store.contents("/file").as_deref() == Some(b"as it was"), "{mode:?}");
            assert_eq!(transcript.count("> ABOR"), 1);
        }
    }
}

/// The end of the whole client is no end of a file.
#[tokio::test]
async fn an_upload_whose_client_is_dropped_leaves_the_old_file() {
    let server = Server::start();
    for secured in [false, true] {
        for mode in MODES {
            server.store.insert("/file", "as it was");
            let (client, running, transcript) = match secured {
                true => server.secured(by(mode), Version::Tls13).await,
                false => server.client(by(mode)).await,
            };
            let _transfer = client.store("file", Poor { waits: true, given: false });
            while transcript.count("< 125") + transcript.count("< 150") == 0 {
                tokio::task::yield_now().await;
            }
            running.abort();
            // The server is through with it when another client may write there.
            let (other, _running, _) = server.client(by(mode)).await;
            soon(other.store("other", Content::new(octets(10, 1)))).await.expect("it is stored");
            assert!(server.store.contents("/file").as_deref() == Some(b"as it was"), "{mode:?}");
        }
    }
}

/// A sink that fails, at once or when it is given something.
#[derive(Debug)]
struct Full {
    at_once: bool,
}

impl Sink for Full {
    fn start(&mut self, _: u64) -> Step<'_, ()> {
        let at_once = self.at_once;
        Box::pin(async move {
            match at_once {
                true => Err(std::io::Error::other("the disk is full")),
                false => Ok(()),
            }
        })
    }

    fn write<'a>(&'a mut self, _: &'a [u8]) -> Step<'a, ()> {
        Box::pin(async { Err(std::io::Error::other("the disk is full")) })
    }
}

#[tokio::test]
async fn a_sink_that_fails_ends_the_download_alone() {
    let server = Server::start();
    server.store.insert("/file", octets(3_000_000, 3));
    for mode in MODES {
        let (client, _running, _) = server.client(by(mode)).await;
        for at_once in [false, true] {
            let failed = soon(client.retrieve("file", Full { at_once })).await.expect_err("nowhere to go");
            let why = failed.error.to_string();
            assert!(why.contains("the disk is full"), "{mode:?}: {why}");
        }
        let few = soon(client.retrieve("file", Memory::new(1000))).await.expect_err("too much");
        assert!(few.error.to_string().contains("more than the 1000 bytes"), "{}", few.error);
        let moved = soon(client.retrieve("file", Memory::default())).await.expect("the session goes on");
        assert_eq!(moved.bytes, 3_000_000);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("any port will do");
    let address = unused.local_addr().expect("it is bound");
    drop(unused);
    let setup = longshore_client::Setup {
        options: Options { connect_timeout: Duration::from_secs(5), ..Options::default() },
        ..Default::default()
    };
    let error = longshore_client::connect(address, setup).await.expect_err("nobody listens");
    assert!(error.to_string().starts_with(&format!("no connection to {address}: ")), "{error}");
}
