//! What is received, between mode and file: representation and structure undone.
//!
//! Not inside: where the data stand on the wire (the modes), how much may be received at all (quotas).

use super::error::Fault;
use super::page::Pages;
use super::{Form, Problem, Representation, Structure};
use crate::{ascii, ebcdic};

const LINE_FEED: u8 = b'\n';

/// Text or octets, as they go into the file.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Image,
    /// TYPE A without records: lines end in CR LF. The flag says that a CR waits for what follows.
    Lines(ascii::Decoder, bool),
    /// TYPE A in records: what is in a record is data.
    Records,
    Ebcdic,
}

impl Text {
    fn new(form: Form) -> Text {
        match (form.representation, form.structure) {
            (Representation::Image, _) => Text::Image,
            (Representation::Ascii, Structure::Record) => Text::Records,
            (Representation::Ascii, _) => Text::Lines(ascii::Decoder::new(), false),
            (Representation::Ebcdic, _) => Text::Ebcdic,
        }
    }

    /// Appends the file form of `data`: at most one byte more than it has.
    pub(super) fn decode(&mut self, data: &[u8], output: &mut Vec<u8>) {
        match self {
            Text::Image | Text::Records => output.extend_from_slice(data),
            Text::Lines(decoder, waits) => {
                decoder.decode(data, output);
                if let Some(&last) = data.last() {
                    *waits = last == b'\r';
                }
            }
            Text::Ebcdic => ebcdic::decode(data, output),
        }
    }

    fn end_of_record(&mut self, output: &mut Vec<u8>) {
        self.finish(output);
        if !matches!(self, Text::Image) {
            output.push(LINE_FEED);
        }
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        if let Text::Lines(decoder, waits) = self {
            decoder.finish(output);
            *waits = false;
        }
    }
}

/// What of a file has been made of the data so far.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    text: Text,
    pages: Option<Pages>,
}

impl Contents {
    pub(super) fn new(form: Form) -> Contents {
        let pages = (form.structure == Structure::Page).then(Pages::new);
        Contents { text: Text::new(form), pages }
    }

    /// Where data go to, up to a length that `output` shall not pass.
    pub(super) fn sink<'a>(&'a mut self, output: &'a mut Vec<u8>, full_length: usize) -> Sink<'a> {
        Sink { contents: self, output, full_length }
    }
}

/// Bytes that `output` may have beyond its full length: a CR that waited, the LF of a record, one marked end.
pub(super) const SINK_MARGIN_BYTES: usize = 4;

/// The file's side of a mode, for one call.
pub(super) struct Sink<'a> {
    contents: &'a mut Contents,
    output: &'a mut Vec<u8>,
    full_length: usize,
}

impl Sink<'_> {
    /// Whether nothing more should come in this call.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= self.full_length
    }

    /// Takes data and says how many bytes; fewer than there are when the sink is full, or behind the last page.
    pub(super) fn data(&mut self, data: &[u8]) -> Result<usize, Fault> {
        match &mut self.contents.pages {
            None => {
                let taken = data.len().min(self.full_length.saturating_sub(self.output.len()));
                self.contents.text.decode(&data[..taken], self.output);
                Ok(taken)
            }
            Some(pages) => pages.decode(data, &mut self.contents.text, self.output, self.full_length),
        }
    }

    /// Takes data where nothing may follow the last page.
    pub(super) fn data_within(&mut self, data: &[u8]) -> Result<usize, Fault> {
        let taken = self.data(data)?;
        if taken < data.len() && self.has_last_page() {
            return Err(Fault::at(taken, Problem::BehindEnd));
        }
        Ok(taken)
    }

    /// Whether the last page of STRU P has come.
    pub(super) fn has_last_page(&self) -> bool {
        self.contents.pages.as_ref().is_some_and(Pages::is_ended)
    }

    pub(super) fn end_of_record(&mut self) {
        if self.contents.pages.is_none() {
            self.contents.text.end_of_record(self.output);
        }
    }

    /// Ends the file. Without its last page a paged file has been cut.
    pub(super) fn end_of_file(&mut self) -> Result<(), Problem> {
        if let Some(pages) = &self.contents.pages
            && !pages.is_ended()
        {
            return Err(Problem::Cut);
        }
        self.contents.text.finish(self.output);
        Ok(())
    }

    /// Whether a transfer could begin again here. Between a CR and what it belongs to it could not, nor in a paged file.
    pub(super) fn can_restart(&self) -> bool {
        self.contents.pages.is_none() && !matches!(self.contents.text, Text::Lines(_, true))
    }
}
