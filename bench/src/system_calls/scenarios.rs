//! What is done while system calls are counted: a plain client, one thing after the other on one connection.
//!
//! Not inside: counting.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use longshore_interop::pattern;

use super::trace::Mark;
use crate::generator::{Control, Target};
use crate::ground::explained;

/// The files that are there, and the size of each and of uploads.
const FILES: usize = 10;
const FILE_BYTES: usize = 4096;
/// What is fetched.
const FOLDER: &str = "files";
/// Where uploads go.
const UPLOADS: &str = "up";
/// No server may be silent for longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bit of a block's descriptor that says that it is the file's last (RFC 959 §3.4.2).
const LAST_BLOCK: u8 = 64;

/// Something that is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Retrieve,
    Store,
    Login,
    List,
    Pipelined,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 5] =
        [Scenario::Retrieve, Scenario::Store, Scenario::Login, Scenario::List, Scenario::Pipelined];

    /// As it is called in the file of bounds.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Retrieve => "retr",
            Scenario::Store => "stor",
            Scenario::Login => "login",
            Scenario::List => "list",
            Scenario::Pipelined => "pipelined",
        }
    }
}

/// Makes what is fetched and listed.
pub(crate) fn prepare(served: &Path) -> Result<(), String> {
    for folder in [FOLDER, UPLOADS] {
        let path = served.join(folder);
        explained(&path, fs::create_dir(&path))?;
    }
    for number in 0..FILES {
        let path = served.join(FOLDER).join(number.to_string());
        explained(&path, fs::write(&path, pattern(FILE_BYTES, 1)))?;
    }
    Ok(())
}

/// Does it so often without being counted, then so often between the marks.
pub(crate) fn perform(
    scenario: Scenario,
    target: Target<'_>,
    warm_up: usize,
    units: usize,
) -> Result<(), String> {
    let mut control = Control::log_in(target, false)?;
    control.prepare()?;
    let mut client = Client { target, control, data: None, done: 0 };
    if scenario == Scenario::Pipelined {
        client.control.command(b"MODE B\r\n", &[200])?;
        client.data = Some(client.connect()?);
    }
    client.repeat(scenario, warm_up)?;
    client.mark(scenario, Mark::Begin)?;
    client.repeat(scenario, units)?;
    client.mark(scenario, Mark::End)
}

struct Client<'a> {
    target: Target<'a>,
    control: Control,
    /// The data connection that stays.
    data: Option<TcpStream>,
    done: usize,
}

impl Client<'_> {
    fn mark(&mut self, scenario: Scenario, mark: Mark) -> Result<(), String> {
        let command = format!("{}\r\n", mark.command(scenario.name()));
        self.control.command(command.as_bytes(), &[500]).map(drop)
    }

    fn repeat(&mut self, scenario: Scenario, units: usize) -> Result<(), String> {
        if scenario == Scenario::Pipelined {
            return self.burst(units);
        }
        for _ in 0..units {
            let number = self.done;
            self.done += 1;
            match scenario {
                Scenario::Retrieve => self.fetch(&format!("RETR {FOLDER}/{}", number % FILES), FILE_BYTES)?,
                Scenario::List => self.fetch(&format!("LIST {FOLDER}"), FILES)?,
                Scenario::Store => self.store(&format!("STOR {UPLOADS}/{number}"))?,
                Scenario::Login => {
                    let mut control = Control::log_in(self.target, false)?;
                    control.command(b"QUIT\r\n", &[221])?;
                    // The server closes first; a new one before that would make two sessions at once.
                    control.expect_end()?;
                }
                Scenario::Pipelined => {}
            }
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<TcpStream, String> {
        let address = self.control.passive()?.ok_or("EPSV was answered with 425")?;
        connected(address).map_err(|error| format!("data connection to {address}: {error}"))
    }

    fn fetch(&mut self, command: &str, least_bytes: usize) -> Result<(), String> {
        let mut data = self.connect()?;
        self.control.command(format!("{command}\r\n").as_bytes(), &[125, 150])?;
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).map_err(|error| format!("{command}: {error}"))?;
        self.control.expect("the end of the transfer", &[226])?;
        match bytes.len() < least_bytes {
            true => Err(format!("{command} came with {} bytes", bytes.len())),
            false => Ok(()),
        }
    }

    fn store(&mut self, command: &str) -> Result<(), String> {
        let mut data = self.connect()?;
        self.control.command(format!("{command}\r\n").as_bytes(), &[125, 150])?;
        // Both at once, as most clients do: the server sees the end when it sees the bytes, or a moment later.
        let sent = data.write_all(&pattern(FILE_BYTES, 2)).and_then(|()| data.shutdown(Shutdown::Write));
        sent.map_err(|error| format!("{command}: {error}"))?;
        self.control.expect("the end of the transfer", &[226]).map(drop)
    }

    /// All commands at once, then all files, then all answers.
    fn burst(&mut self, units: usize) -> Result<(), String> {
        let commands: String = (0..units).map(|file| format!("RETR {FOLDER}/{}\r\n", file % FILES)).collect();
        self.control.send(commands.as_bytes())?;
        let data = self.data.as_mut().ok_or("there is no data connection")?;
        let mut input = io::BufReader::with_capacity(1 << 16, data);
        for _ in 0..units {
            let bytes = block_mode_file(&mut input).map_err(|error| format!("pipelined: {error}"))?;
            if bytes != FILE_BYTES {
                return Err(format!("pipelined: a file came with {bytes} bytes"));
            }
        }
        for _ in 0..units {
            self.control.expect("the mark", &[125, 150])?;
            self.control.expect("the end of the transfer", &[250])?;
        }
        Ok(())
    }
}

fn connected(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Reads one file of block mode; its length.
fn block_mode_file(input: &mut impl Read) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let mut header = [0; 3];
        input.read_exact(&mut header)?;
        let count = u16::from_be_bytes([header[1], header[2]]);
        length += io::copy(&mut input.by_ref().take(count.into()), &mut io::sink())? as usize;
        if header[0] & LAST_BLOCK != 0 {
            return Ok(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_block_mode_ends_with_its_last_block() {
        let mut input = &b"\x00\x00\x02ab\x40\x00\x01c\x40\x00\x00rest"[..];
        assert_eq!(block_mode_file(&mut input).unwrap(), 3);
        assert_eq!(block_mode_file(&mut input).unwrap(), 0);
        assert_eq!(input, b"rest");
        assert!(block_mode_file(&mut &b"\x40\x00"[..]).is_err());
    }
}
