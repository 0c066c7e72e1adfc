//! A client's side of transfers in every TYPE, STRU and MODE: bytes are made and understood by the codecs, and a data
//! connection stays where the mode keeps it.
//!
//! Not inside: what the codecs do, which is tested where they are.

use std::io::{ErrorKind, Read};

use longshore_proto::transmission::{Form, Mode, Receiver, Representation, Sender, Step, Structure};
use longshore_server::Deflate;
use longshore_server::storage::Backend;

use super::client::Reply;
use super::{Client, Data, Random, Server, Setup, Situation, octets};

pub(crate) const IMAGE: Form =
    Form { representation: Representation::Image, structure: Structure::File, mode: Mode::Stream };
pub(crate) const BLOCKS: Form = Form { mode: Mode::Block, ..IMAGE };
pub(crate) const COMPRESSED: Form = Form { mode: Mode::Compressed, ..IMAGE };
/// In MODE Z data connections stay where [`Formed::connected`] makes them.
pub(crate) const DEFLATED: Form = Form { mode: Mode::Deflate, ..IMAGE };
/// The forms whose data connections stay, as octets.
pub(crate) const KEEPING: [Form; 3] = [BLOCKS, COMPRESSED, DEFLATED];

impl Server {
    /// A server of this tree that offers every mode, and nothing particular.
    pub(crate) fn of_every_mode(backend: impl Backend) -> Server {
        Setup::of(backend).deflating().start()
    }
}

/// Every combination of TYPE, STRU and MODE.
pub(crate) fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    for representation in Representation::ALL {
        for structure in Structure::ALL {
            forms.extend(Mode::ALL.map(|mode| Form { representation, structure, mode }));
        }
    }
    forms
}

impl Setup {
    /// Offers MODE Z.
    pub(crate) fn deflating(self) -> Setup {
        self.with(|config| config.deflate = Some(Deflate::default()))
    }
}

/// A file of so many octets that comes back from this form as it was: a text has lines, and no CR.
pub(crate) fn contents(form: Form, count: usize, seed: u64) -> Vec<u8> {
    if !form.representation.is_text() {
        return octets(count, seed);
    }
    let mut random = Random(seed);
    (0..count)
        .map(|_| match random.below(40) {
            0 => b'\n',
            // Some that repeat, as compressed mode likes them.
            1..=9 => b' ',
            letter => b'A' + (letter % 26) as u8,
        })
        .collect()
}

/// What goes over the data connection for this file.
pub(crate) fn encoded(form: Form, contents: &[u8]) -> Vec<u8> {
    let (mut sender, mut wire) = (Sender::new(form, 0), Vec::new());
    sender.send(contents, &mut wire);
    sender.finish(&mut wire);
    wire
}

/// Several files behind each other.
pub(crate) fn encoded_all(form: Form, files: &[Vec<u8>]) -> Vec<u8> {
    files.iter().flat_map(|contents| encoded(form, contents)).collect()
}

/// One data connection of a client, in one form, and what came behind the file before.
pub(crate) struct Formed {
    pub(crate) form: Form,
    pub(crate) data: Option<Data>,
    /// Whether data connections stay behind whole files.
    keeps: bool,
    unread: Vec<u8>,
    /// The restart markers of the last file that was received.
    pub(crate) markers: Vec<u64>,
}

impl Formed {
    /// Sets the form; nothing is arranged.
    #[track_caller]
    pub(crate) fn new(client: &mut Client, form: Form) -> Formed {
        client.command(format!("TYPE {}", form.representation.name()), Situation::TypeSet);
        client.command(format!("STRU {}", form.structure.name()), Situation::StructureSet);
        client.command(format!("MODE {}", form.mode.name()), Situation::ModeSet);
        Formed { form, data: None, keeps: form.keeps_connection(), unread: Vec::new(), markers: Vec::new() }
    }

    /// Sets the form such that data connections stay wherever they can, also in MODE Z; nothing is arranged.
    #[track_caller]
    pub(crate) fn keeping(client: &mut Client, form: Form) -> Formed {
        if form.mode == Mode::Deflate {
            client.command("OPTS MODE Z KEEP 1", Situation::DeflateStays);
        }
        Formed { keeps: form.mode != Mode::Stream, ..Formed::new(client, form) }
    }

    /// As [`Formed::keeping`], and arranges for a data connection and makes it.
    #[track_caller]
    pub(crate) fn connected(client: &mut Client, form: Form) -> Formed {
        let mut formed = Formed::keeping(client, form);
        formed.connect(client);
        formed
    }

    /// Makes a data connection in place of the one before.
    #[track_caller]
    pub(crate) fn connect(&mut self, client: &mut Client) {
        self.data = Some(client.data());
        self.unread.clear();
    }

    #[track_caller]
    pub(crate) fn data(&mut self) -> &mut Data {
        self.data.as_mut().expect("a data connection stands")
    }

    /// Sends something whole; a data connection is made where none stands.
    #[track_caller]
    pub(crate) fn store(&mut self, client: &mut Client, line: &str, contents: &[u8]) -> Reply {
        if self.data.is_none() {
            self.connect(client);
        }
        client.command(line, 125);
        let wire = encoded(self.form, contents);
        self.data().write(&wire);
        self.end(client, [Situation::Stored, Situation::StoredKept])
    }

    /// Fetches something whole; a data connection is made where none stands.
    #[track_caller]
    pub(crate) fn fetch(&mut self, client: &mut Client, line: &str) -> Vec<u8> {
        self.fetch_from(client, line, 0)
    }

    /// As [`Formed::fetch`], after a REST, which must have been said.
    #[track_caller]
    pub(crate) fn fetch_from(&mut self, client: &mut Client, line: &str, offset: u64) -> Vec<u8> {
        if self.data.is_none() {
            self.connect(client);
        }
        client.command(line, 125);
        let contents = self.receive_from(offset);
        self.end(client, [Situation::Sent, Situation::SentKept]);
        contents
    }

    #[track_caller]
    fn end(&mut self, client: &mut Client, [closed, kept]: [Situation; 2]) -> Reply {
        if self.keeps {
            return client.expect(kept);
        }
        self.data.take().expect("a data connection stands").finish();
        client.expect(closed)
    }

    /// One file from the data connection.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        self.receive_from(0)
    }

    #[track_caller]
    pub(crate) fn receive_from(&mut self, offset: u64) -> Vec<u8> {
        let mut receiver = Receiver::new(self.form, offset);
        let mut contents = Vec::new();
        self.markers.clear();
        let mut input = std::mem::take(&mut self.unread);
        loop {
            let mut taken = 0;
            loop {
                let received =
                    receiver.receive(&input[taken..], &mut contents).expect("a sound transmission");
                taken += received.taken_bytes;
                match received.step {
                    Step::More => break,
                    Step::Full => {}
                    Step::Marker(marker) => {
                        let told = marker.offset_bytes().expect("a marker of ours is an offset");
                        assert_eq!(told, receiver.offset_bytes(), "a marker tells where it stands");
                        self.markers.push(told);
                    }
                    Step::End => {
                        self.unread = input.split_off(taken);
                        if !self.keeps {
                            assert_eq!(self.unread, b"", "octets behind the end");
                            self.data().expect_end();
                        }
                        return contents;
                    }
                }
            }
            input.resize(64 * 1024, 0);
            let count = match self.data().wire().read(&mut input) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Err(error) => panic!("the server sends no more: {error}"),
            };
            input.truncate(count);
            if count == 0 {
                receiver.finish(&mut contents).expect("the end of the connection is the end of the file");
                return contents;
            }
        }
    }

    /// That nothing has come that nobody asked for.
    pub(crate) fn is_drained(&self) -> bool {
        self.unread.is_empty()
    }
}
