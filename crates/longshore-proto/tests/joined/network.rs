//! Data connections in memory, and files cut into what goes over them. Each step moves as many bytes as chance wants.

use std::collections::{BTreeMap, VecDeque};

use super::chance::Chance;

/// Bytes that one direction of a connection holds; less than most files.
const CAPACITY_BYTES: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Pipe {
    pub bytes: VecDeque<u8>,
    /// Its writer has ended it in order.
    pub fin: bool,
    /// It is broken.
    pub reset: bool,
}

#[derive(Debug, Default)]
pub struct Wire {
    to_server: Pipe,
    to_client: Pipe,
}

#[derive(Default)]
pub struct Network {
    pub wires: Vec<Wire>,
    /// Connections that nobody has accepted, by port.
    pub listeners: BTreeMap<u16, VecDeque<usize>>,
    /// A receiver has met what is no block.
    pub mixed: bool,
}

impl Network {
    /// Connects; `None` where nobody listens.
    pub fn connect(&mut self, port: u16) -> Option<usize> {
        let backlog = self.listeners.get_mut(&port)?;
        self.wires.push(Wire::default());
        backlog.push_back(self.wires.len() - 1);
        Some(self.wires.len() - 1)
    }

    pub fn incoming(&mut self, wire: usize, side: Side) -> &mut Pipe {
        match side {
            Side::Client => &mut self.wires[wire].to_client,
            Side::Server => &mut self.wires[wire].to_server,
        }
    }

    pub fn outgoing(&mut self, wire: usize, side: Side) -> &mut Pipe {
        self.incoming(wire, if side == Side::Client { Side::Server } else { Side::Client })
    }

    /// What a side sees of a connection on which it does nothing.
    pub fn has_ended(&mut self, wire: usize, side: Side) -> bool {
        let pipe = self.incoming(wire, side);
        pipe.reset || pipe.fin && pipe.bytes.is_empty()
    }

    /// Closes one side: in order, unless bytes are unread, or it is meant to be hard.
    pub fn close(&mut self, chance: &mut Chance, wire: usize, side: Side, hard: bool) {
        let unread = !self.incoming(wire, side).bytes.is_empty();
        self.incoming(wire, side).reset = true;
        if hard || unread {
            self.break_off(chance, wire);
        } else {
            self.outgoing(wire, side).fin = true;
        }
    }

    /// Breaks both directions; what was under way may be lost.
    pub fn break_off(&mut self, chance: &mut Chance, wire: usize) {
        for side in [Side::Client, Side::Server] {
            let pipe = self.incoming(wire, side);
            pipe.reset = true;
            if chance.per_mille(700) {
                pipe.bytes.clear();
            }
        }
    }

    pub fn stop_listening(&mut self, chance: &mut Chance, port: u16) {
        for wire in self.listeners.remove(&port).unwrap_or_default() {
            self.break_off(chance, wire);
        }
    }
}

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Moved,
    Blocked,
    Done,
    Broken,
    /// No block begins so: the bytes of two files are mixed, or the two sides are not of one mind about the mode.
    Mixed,
}

/// A file on its way out. In blocks it is three bytes (64 says that it is the last, and a length) and the bytes.
pub struct Sender {
    content: Vec<u8>,
    at: usize,
    in_blocks: bool,
    ready: VecDeque<u8>,
    last_is_ready: bool,
}

impl Sender {
    pub fn new(content: Vec<u8>, in_blocks: bool) -> Sender {
        Sender { content, at: 0, in_blocks, ready: VecDeque::new(), last_is_ready: false }
    }

    /// Bytes of the file that left.
    pub fn bytes(&self) -> u64 {
        self.at as u64
    }

    pub fn step(&mut self, chance: &mut Chance, pipe: &mut Pipe) -> Progress {
        if pipe.reset {
            return Progress::Broken;
        }
        if self.ready.is_empty() && !self.last_is_ready {
            let left = self.content.len() - self.at;
            let length = chance.below(40).min(left);
            let block = &self.content[self.at..self.at + length];
            self.at += length;
            // The last block may be empty, or hold the last bytes.
            self.last_is_ready = self.at == self.content.len() && chance.per_mille(500);
            if self.in_blocks {
                self.ready.extend([if self.last_is_ready { 64 } else { 0 }, 0, length as u8]);
            }
            self.ready.extend(block);
        }
        let room = CAPACITY_BYTES.saturating_sub(pipe.bytes.len());
        let moved = (1 + chance.below(room.max(1))).min(room).min(self.ready.len());
        pipe.bytes.extend(self.ready.drain(..moved));
        if self.ready.is_empty() && self.last_is_ready {
            pipe.fin |= !self.in_blocks;
            return Progress::Done;
        }
        if room == 0 { Progress::Blocked } else { Progress::Moved }
    }
}

/// A file on its way in. In blocks, no byte behind the file's end is read.
pub struct Receiver {
    pub content: Vec<u8>,
    in_blocks: bool,
    header: Vec<u8>,
}

impl Receiver {
    pub fn new(in_blocks: bool) -> Receiver {
        Receiver { content: Vec::new(), in_blocks, header: Vec::new() }
    }

    pub fn step(&mut self, chance: &mut Chance, pipe: &mut Pipe) -> Progress {
        if pipe.bytes.is_empty() {
            return match (pipe.fin && !pipe.reset, self.in_blocks) {
                (true, false) => Progress::Done,
                _ if pipe.fin || pipe.reset => Progress::Broken,
                _ => Progress::Blocked,
            };
        }
        for _ in 0..=chance.below(pipe.bytes.len()) {
            let byte = pipe.bytes.pop_front().expect("not empty");
            if !self.in_blocks {
                self.content.push(byte);
                continue;
            }
            if self.header.len() < 3 {
                self.header.push(byte);
            } else {
                self.content.push(byte);
                self.header[2] -= 1;
            }
            if let [kind, _, 0] = self.header[..] {
                if kind != 0 && kind != 64 {
                    return Progress::Mixed;
                }
                self.header.clear();
                if kind == 64 {
                    return Progress::Done;
                }
            }
        }
        Progress::Moved
    }
}
