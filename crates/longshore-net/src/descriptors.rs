//! Descriptors as a thing that runs out. Nothing is opened here but one that is kept to be given up.

use std::net::UdpSocket;

use rustix::process::{Resource, getrlimit};

/// How many descriptors this process may have; `None` where there is no limit.
pub fn descriptor_limit() -> Option<usize> {
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok())
}

/// Whether a call failed because this process or the system has no descriptor left.
pub fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// A descriptor that is kept so that it can be given up: when none is left, a connection that waits can still be
/// accepted in its place, told why it is not served, and closed.
#[derive(Debug, Default)]
pub struct SpareDescriptor(Option<UdpSocket>);

impl SpareDescriptor {
    /// Keeps one, where there is one.
    pub fn new() -> SpareDescriptor {
        let mut spare = SpareDescriptor(None);
        spare.take_back();
        spare
    }

    /// Closes it; whether there was one.
    pub fn give_up(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Keeps one again, where there is one.
    pub fn take_back(&mut self) {
        if self.0.is_none() {
            // A socket that nobody can reach: nothing but its descriptor matters.
            self.0 = UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind(("::1", 0))).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_kept_and_given_up() {
        assert!(descriptor_limit().is_none_or(|limit| limit > 10));
        let mut spare = SpareDescriptor::new();
        assert!(spare.give_up());
        assert!(!spare.give_up());
        spare.take_back();
        assert!(spare.give_up());
    }
}
