//! The example does what its README says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ended with the test, however the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_file_in_memory_is_served() {
    let mut running = Running(
        Command::new(env!("CARGO_BIN_EXE_embed")).stdout(Stdio::piped()).spawn().expect("the example starts"),
    );
    let mut announced = String::new();
    let stdout = running.0.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut announced).expect("it prints how to connect");
    let url = announced.trim().strip_prefix("curl ftp://").expect("a line to paste");
    let (address, path) = url.split_once('/').expect("an address and a path");

    let mut control = BufReader::new(TcpStream::connect(address).expect("it listens"));
    control.get_ref().set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let mut say = |command: &str| {
        if !command.is_empty() {
            control.get_mut().write_all(format!("{command}\r\n").as_bytes()).expect("it reads");
        }
        let mut reply = String::new();
        control.read_line(&mut reply).expect("it answers");
        reply
    };
    assert!(say("").starts_with("220"));
    assert!(say("USER anonymous").starts_with("331"));
    assert!(say("PASS me@example.org").starts_with("230"));
    assert!(say("TYPE I").starts_with("200"));
    let passive = say("EPSV");
    let port = passive.split('|').nth(3).expect("a port").parse::<u16>().expect("a number");
    let mut data =
        TcpStream::connect((address.split(':').next().expect("a host"), port)).expect("a data connection");
    assert!(say(&format!("RETR /{path}")).starts_with("125"));
    let mut contents = String::new();
    data.read_to_string(&mut contents).expect("the file");
    assert_eq!(contents, "This file is in no file system.\n");
    assert!(say("").starts_with("226"));
}
