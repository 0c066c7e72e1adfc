//! Does the steps that its arguments name, in order; ends with the reply at the first that is refused.
//!
//! What the harness asks of every client under TLS, by the suite's own client on the crate rustls. Arguments: host port
//! passive|active user password folder mode, then the steps; how it is protected stands in the environment.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks through its streams"
)]

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use longshore_interop::{Secure, SecureData, Security};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Bytes of one write or read.
const BLOCK_BYTES: usize = 64 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, _, user, password, folder, _, steps @ ..] = &arguments[..] else {
        return Err("usage: rustls-client HOST PORT passive USER PASSWORD FOLDER MODE STEPS...".into());
    };
    let security = Security::from_environment(|name| std::env::var(name).ok())?;
    let address = SocketAddr::new(host.parse::<IpAddr>()?, port.parse()?);
    let mut control = Secure::login(address, &security, user, password)?;
    let path = |name: &str| format!("{folder}{name}");
    let mut words = steps.iter().map(String::as_str);
    while let Some(step) = words.next() {
        let mut name = || words.next().ok_or_else(|| format!("{step} needs another name"));
        match step {
            "put" => {
                let (from, to) = (name()?, name()?);
                put(&mut control, &security, from, &path(to), 0)?;
            }
            "resume-put" => {
                let (from, to) = (name()?, name()?);
                let offset = control.size(&path(to))?.ok_or("there is no part")?;
                put(&mut control, &security, from, &path(to), offset)?;
            }
            "get" => {
                let (from, to) = (name()?, name()?);
                get(&mut control, &security, &path(from), to, 0)?;
            }
            "resume-get" => {
                let (from, to) = (name()?, name()?);
                let offset = fs::metadata(to)?.len();
                get(&mut control, &security, &path(from), to, offset)?;
            }
            "list" => list(&mut control, &path(name()?))?,
            "stop-get" => stop(&mut control, &path(name()?))?,
            _ => return Err(format!("{step} is no step").into()),
        }
    }
    control.say("QUIT")?;
    Ok(())
}

/// Says where to go on, when that is not the beginning.
fn restart(control: &mut Secure, offset: u64) -> Outcome<()> {
    if offset > 0 {
        let reply = control.say(&format!("REST {offset}"))?;
        if reply.code != 350 {
            return Err(format!("{} {}", reply.code, reply.text).into());
        }
    }
    Ok(())
}

fn put(control: &mut Secure, security: &Security, from: &str, to: &str, offset: u64) -> Outcome<()> {
    let mut file = File::open(from)?;
    file.seek(SeekFrom::Start(offset))?;
    restart(control, offset)?;
    let data = begin(control, security, &format!("STOR {to}"))?;
    let moved = send(data, &mut file);
    end(control, moved)
}

fn get(control: &mut Secure, security: &Security, from: &str, to: &str, offset: u64) -> Outcome<()> {
    let mut file = File::options().write(true).create(true).truncate(offset == 0).open(to)?;
    file.seek(SeekFrom::Start(offset))?;
    restart(control, offset)?;
    let data = begin(control, security, &format!("RETR {from}"))?;
    let moved = receive(data, &mut file);
    end(control, moved)
}

/// A data connection, which resumes the session of the control connection where it has to.
fn begin(control: &mut Secure, security: &Security, command: &str) -> Outcome<SecureData> {
    let data = control.begin(command)?;
    if security.resumes && !data.is_resumed() {
        return Err(format!("{command}: the session was not resumed").into());
    }
    Ok(data)
}

fn send(mut data: SecureData, file: &mut File) -> Outcome<()> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => break,
            length => data.write(&block[..length])?,
        }
    }
    Ok(data.finish()?)
}

fn receive(mut data: SecureData, file: &mut File) -> Outcome<()> {
    loop {
        let block = data.read(BLOCK_BYTES as u64)?;
        if block.is_empty() {
            return Ok(());
        }
        file.write_all(&block)?;
    }
}

/// Reads the reply that ends a transfer. What it refuses goes before what the data connection says.
fn end(control: &mut Secure, moved: Outcome<()>) -> Outcome<()> {
    control.completion()?;
    moved
}

fn list(control: &mut Secure, folder: &str) -> Outcome<()> {
    let mut data = control.begin(&format!("NLST {folder}"))?;
    let names = data.read(u64::MAX)?;
    print!("{}", String::from_utf8_lossy(&names));
    Ok(control.completion()?)
}

/// Fetches the beginning, then says ABOR: the transfer is answered, and so is the ABOR.
fn stop(control: &mut Secure, from: &str) -> Outcome<()> {
    let mut data = control.begin(&format!("RETR {from}"))?;
    let begin = data.read(BLOCK_BYTES as u64)?;
    control.send("ABOR")?;
    // What was under way comes to its end, in order or not.
    let _ = data.read(u64::MAX);
    let answers = [control.reply()?, control.reply()?];
    if begin.len() != BLOCK_BYTES || [answers[0].code, answers[1].code] != [426, 226] {
        return Err(format!("{} bytes, then {answers:?}", begin.len()).into());
    }
    Ok(())
}
