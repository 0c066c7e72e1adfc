//! Servers that are played: they close, reset, fall silent, or say what nobody asked.

use std::net::SocketAddr;
use std::time::Duration;

use longshore_client::{
    ClientTls, Content, End, Error, Fate, Loss, Memory, Mode, ModeChoice, Options, Refusal, Setup, Trust,
    Version,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{begin, soon};

/// The server's side of a control connection.
struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    async fn say(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).await.expect("the client listens");
    }

    /// Reads one command and answers it.
    async fn answer(&mut self, command: &str, reply: &str) {
        self.hear(command).await;
        self.say(reply).await;
    }

    async fn hear(&mut self, command: &str) {
        let mut line = String::new();
        soon(self.stream.read_line(&mut line)).await.expect("the client speaks");
        assert_eq!(line.trim_end(), command);
    }

    /// Answers what comes before a transfer, and takes its data connection; then its command is read and marked.
    async fn begin(&mut self, settings: &[&str], command: &str) -> TcpStream {
        for setting in settings {
            self.answer(setting, "200 fine").await;
        }
        let listener = self.arrange("229 (|||PORT|)").await;
        let (data, _) = soon(listener.accept()).await.expect("the client connects");
        self.answer(command, "150 now").await;
        data
    }

    /// Arranges a data connection.
    async fn arrange(&mut self, says: &str) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
        let port = listener.local_addr().expect("it is bound").port();
        self.hear("EPSV").await;
        self.say(&says.replace("PORT", &port.to_string())).await;
        listener
    }
}

/// A client of a server that greets; the client has logged in.
async fn logged_in(options: Options) -> (longshore_client::Client, Control) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
    let address = listener.local_addr().expect("it is bound");
    let (connected, accepted) =
        tokio::join!(begin(address, Setup { options, ..Setup::default() }), listener.accept());
    let (stream, _) = accepted.expect("the client connects");
    let mut control = Control { stream: BufReader::new(stream) };
    let (client, _, _) = connected;
    let login = client.login("a", "b");
    control.say("220 hello").await;
    control.answer("USER a", "331 password").await;
    control.answer("PASS b", "230 in").await;
    soon(login).await.expect("in");
    (client, control)
}

#[tokio::test]
async fn a_greeting_that_refuses_is_everybodys_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
    let address = listener.local_addr().expect("it is bound");
    let (connected, accepted) = tokio::join!(begin(address, Setup::default()), listener.accept());
    let (client, running, _) = connected;
    let login = client.login("a", "b");
    accepted.expect("the client connects").0.write_all(b"421 full\r\n").await.expect("it listens");
    let Err(Error::Refused(Refusal::Lost { fate: Fate::NotDone, why: Loss::Said(reply) })) =
        soon(login).await
    else {
        panic!("the server said no")
    };
    assert_eq!(reply.code, 421);
    assert!(matches!(running.await, Ok(Loss::Said(_))));
}

#[tokio::test]
async fn a_download_that_is_reset_is_not_whole() {
    let (client, mut control) = logged_in(Options::default()).await;
    let transfer = client.retrieve("f", Memory::default());
    let mut data = control.begin(&["TYPE I"], "RETR f").await;
    data.write_all(b"first half").await.expect("it listens");
    data.set_zero_linger().expect("it is open");
    drop(data);
    control.say("426 broken").await;
    let failed = soon(transfer).await.expect_err("cut");
    let Error::Refused(Refusal::Cut { end: Some(End::Reset), reply: Some(reply), .. }) = failed.error else {
        panic!("{:?}", failed.error)
    };
    assert_eq!(reply.code, 426);
}

#[tokio::test]
async fn a_file_that_ends_early_is_not_whole_though_the_server_says_so() {
    let options = Options { mode: ModeChoice::Insist(Mode::Block), ..Options::default() };
    let (client, mut control) = logged_in(options).await;
    let transfer = client.retrieve("f", Memory::default());
    let mut data = control.begin(&["TYPE I", "MODE B"], "RETR f").await;
    data.write_all(b"\x40\0\x09four").await.expect("it listens");
    drop(data);
    control.say("250 whole").await;
    let failed = soon(transfer).await.expect_err("cut");
    assert_eq!(failed.place.as_ref().map(Memory::bytes), Some(b"four".as_slice()));
    assert!(failed.error.to_string().contains("ended before the end of the file"), "{}", failed.error);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let short = Duration::from_millis(300);
    let options = Options { stall_timeout: short, ..Options::default() };
    let (client, mut control) = logged_in(options).await;
    let transfer = client.retrieve("f", Memory::default());
    let mut data = control.begin(&["TYPE I"], "RETR f").await;
    // The client ends it by a reset.
    let mut rest = Vec::new();
    soon(data.read_to_end(&mut rest)).await.expect_err("a reset");
    control.say("426 gone").await;
    let failed = soon(transfer).await.expect_err("stalled");
    assert!(matches!(failed.error, Error::Refused(Refusal::Cut { end: Some(End::Stalled), .. })));
}

#[tokio::test]
async fn an_upload_ends_in_order_and_the_server_gets_all_of_it() {
    let (client, mut control) = logged_in(Options::default()).await;
    let content = crate::common::octets(3_000_000, 9);
    let transfer = client.store("f", Content::new(content.clone()));
    let mut data = control.begin(&["TYPE I"], "STOR f").await;
    // What nobody reads: closing over it would reset the connection.
    data.write_all(b"unasked").await.expect("it listens");
    // The final reply comes before the server has read everything.
    control.say("226 stored").await;
    let mut got = Vec::new();
    soon(data.read_to_end(&mut got)).await.expect("an end in order");
    assert!(got == content);
    soon(transfer).await.expect("the server said so");
}

#[tokio::test]
async fn the_control_connection_is_lost_while_a_transfer_runs() {
    let (client, mut control) = logged_in(Options::default()).await;
    let transfer = client.retrieve("f", Memory::default());
    let mut data = control.begin(&["TYPE I"], "RETR f").await;
    data.write_all(b"half").await.expect("it listens");
    drop(control);
    let failed = soon(transfer).await.expect_err("lost");
    assert!(matches!(failed.error, Error::Refused(Refusal::Lost { fate: Fate::Unknown, .. })));
    assert!(failed.place.is_some(), "what came is given back");
    let mut rest = Vec::new();
    soon(data.read_to_end(&mut rest)).await.expect_err("the data connection is reset");
}

#[tokio::test]
async fn an_address_that_is_not_the_servers_is_not_connected_to() {
    let (client, mut control) = logged_in(Options::default()).await;
    let elsewhere = TcpListener::bind("127.0.0.2:0").await.expect("any port will do");
    let port = elsewhere.local_addr().expect("it is bound").port();
    let transfer = client.retrieve("f", Memory::default());
    control.answer("TYPE I", "200 fine").await;
    control.answer("EPSV", "502 no").await;
    control.answer("PASV", &format!("227 (127,0,0,2,{},{})", port >> 8, port & 255)).await;
    // At the server's own address nobody listens on that port.
    let failed = soon(transfer).await.expect_err("no data connection");
    let Error::Refused(Refusal::NoDataConnection { address, .. }) = failed.error else {
        panic!("{:?}", failed.error)
    };
    assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], port)));
}

#[tokio::test]
async fn what_stands_behind_the_answer_to_auth_is_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
    let address = listener.local_addr().expect("it is bound");
    let (connected, accepted) = tokio::join!(begin(address, Setup::default()), listener.accept());
    let (client, running, _) = connected;
    let mut control = Control { stream: BufReader::new(accepted.expect("the client connects").0) };
    control.say("220 hello").await;
    let protected = client.start_tls();
    control.answer("AUTH TLS", "234 go\r\n230 in").await;
    let refused = soon(protected).await.expect_err("somebody else may have sent it");
    assert!(matches!(refused, Error::Refused(Refusal::Lost { why: Loss::BytesBehind, .. })), "{refused:?}");
    assert!(matches!(running.await, Ok(Loss::BytesBehind)));
}

/// Somebody in between who has said AUTH to the server himself would let our AUTH be heard inside TLS.
#[tokio::test]
async fn an_answer_to_auth_that_comes_before_it_was_sent_is_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
    let address = listener.local_addr().expect("it is bound");
    let tls = ClientTls::new(&Trust::Anything, Version::Tls12).expect("anything");
    let setup = Setup { tls: Some(tls.session("ftp.example").expect("a name")), ..Setup::default() };
    let (client, connection) = longshore_client::connect(address, setup).await.expect("somebody listens");
    let (mut stream, _) = listener.accept().await.expect("the client connects");
    // Both lines are there before the client looks.
    stream.write_all(b"220 hello\r\n234 go\r\n").await.expect("the client listens");
    let protected = client.start_tls();
    let login = client.login("a", "b");
    let loss = soon(connection.run()).await;
    assert!(matches!(&loss, Loss::TlsFailed(why) if why.contains("before it was sent")), "{loss:?}");
    soon(protected).await.expect_err("no TLS");
    soon(login).await.expect_err("no TLS");
    drop(client);
    let mut heard = Vec::new();
    // Whether the end is a reset is no matter.
    let _ = soon(stream.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"", "nothing was sent");
}

#[tokio::test]
async fn an_idle_connection_says_how_it_was_lost() {
    let (client, mut control) = logged_in(Options::default()).await;
    control.say("421 too long").await;
    drop(control);
    // The next request finds out, whether it comes before the loss is noticed or after.
    let refused = soon(client.noop()).await.expect_err("lost");
    let Error::Refused(Refusal::Lost { why: Loss::Said(reply), .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(reply.code, 421);
    let again = soon(client.noop()).await.expect_err("lost");
    assert!(matches!(
        again,
        Error::Refused(Refusal::Lost { fate: Fate::NotDone, why: Loss::Said(reply) }) if reply.code == 421
    ));
}

/// A server that waits for our end of the data connection before its 226.
#[tokio::test]
async fn a_download_is_ended_on_our_side_too() {
    let (client, mut control) = logged_in(Options::default()).await;
    let transfer = client.retrieve("f", Memory::default());
    let mut data = control.begin(&["TYPE I"], "RETR f").await;
    data.write_all(b"all").await.expect("it listens");
    data.shutdown().await.expect("it is open");
    let mut rest = Vec::new();
    soon(data.read_to_end(&mut rest)).await.expect("an end in order");
    control.say("226 sent").await;
    assert_eq!(soon(transfer).await.expect("it is whole").place.bytes(), b"all");
}
