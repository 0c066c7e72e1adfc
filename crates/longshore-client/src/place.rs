//! Where the bytes of transfers come from and go to.
//!
//! Not inside: files of a disk.

use std::any::Any;
use std::fmt;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use crate::limits::MEMORY_LIMIT_BYTES;

/// What a [`Source`] or [`Sink`] does next. A dropped one may have done it.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Where the bytes of an upload come from.
///
/// An error ends the transfer, with its text.
pub trait Source: Any + Send {
    /// Begins at this octet, also when it was begun before: a transfer that was pushed aside by another one's end is asked
    /// for again.
    fn start(&mut self, offset_bytes: u64) -> Step<'_, ()>;

    /// Appends the next octets to `buffer`, at most as many as it has spare capacity, which is never zero; none are the
    /// end.
    fn read<'a>(&'a mut self, buffer: &'a mut Vec<u8>) -> Step<'a, ()>;
}

/// Where the bytes of a download or a listing go.
///
/// An error ends the transfer, with its text. Whether what came is whole, the transfer's outcome says, which gives the
/// sink back.
pub trait Sink: Any + Send {
    /// Begins at this octet of the file. What came since it was begun before is void: the transfer was pushed aside by
    /// another one's end, and is asked for again.
    fn start(&mut self, offset_bytes: u64) -> Step<'_, ()>;

    /// Takes all of `bytes`.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> Step<'a, ()>;
}

/// A source that holds its octets.
#[derive(Clone)]
pub struct Content {
    bytes: Arc<[u8]>,
    position: usize,
}

impl Content {
    /// These octets.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Content {
        Content { bytes: bytes.into(), position: 0 }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Source for Content {
    fn start(&mut self, offset_bytes: u64) -> Step<'_, ()> {
        let position = usize::try_from(offset_bytes).ok().filter(|&position| position <= self.bytes.len());
        let Some(position) = position else {
            let why =
                format!("there are {} octets, and octet {offset_bytes} was asked for", self.bytes.len());
            return Box::pin(ready(Err(io::Error::new(io::ErrorKind::InvalidInput, why))));
        };
        self.position = position;
        Box::pin(ready(Ok(())))
    }

    fn read<'a>(&'a mut self, buffer: &'a mut Vec<u8>) -> Step<'a, ()> {
        let rest = &self.bytes[self.position..];
        let fresh = &rest[..rest.len().min(buffer.capacity() - buffer.len())];
        buffer.extend_from_slice(fresh);
        self.position += fresh.len();
        Box::pin(ready(Ok(())))
    }
}

/// A sink that keeps what it is given, up to a limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Memory {
    bytes: Vec<u8>,
    limit_bytes: usize,
}

impl Memory {
    /// One that takes no more than this.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Memory {
        Memory { bytes: Vec::new(), limit_bytes }
    }

    /// What came, from the octet on at which the transfer began.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Up to [`MEMORY_LIMIT_BYTES`].
impl Default for Memory {
    fn default() -> Memory {
        Memory::new(MEMORY_LIMIT_BYTES)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.bytes.len())
            .field("limit_bytes", &self.limit_bytes)
            .finish()
    }
}

impl Sink for Memory {
    fn start(&mut self, _: u64) -> Step<'_, ()> {
        self.bytes.clear();
        Box::pin(ready(Ok(())))
    }

    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> Step<'a, ()> {
        if bytes.len() > self.limit_bytes - self.bytes.len() {
            let why = format!("more than the {} bytes came that may be kept in memory", self.limit_bytes);
            return Box::pin(ready(Err(io::Error::new(io::ErrorKind::OutOfMemory, why))));
        }
        self.bytes.extend_from_slice(bytes);
        Box::pin(ready(Ok(())))
    }
}

/// What a transfer moves, on its way between the one who asked and the job.
pub(crate) enum Place {
    Source(Box<dyn Source>),
    Sink(Box<dyn Sink>),
}

impl Place {
    /// As whoever asked has given it.
    pub(crate) fn into_inner<P: 'static>(self) -> Option<P> {
        let any: Box<dyn Any> = match self {
            Place::Source(source) => source,
            Place::Sink(sink) => sink,
        };
        any.downcast().ok().map(|inner| *inner)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Source(_) => "Source",
            Place::Sink(_) => "Sink",
        })
    }
}
