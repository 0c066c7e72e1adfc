//! What one control session remembers of TLS sessions that may be resumed, and how its client uses them.
//!
//! Not inside: who may put something here; [`session`](crate::session) lets in only the control connection's own
//! handshake and data connections that have proved themselves.

use crate::limits::{CONTROL_TICKETS_LIMIT_BYTES, DATA_TICKETS_KEPT, TICKETS_LIMIT_BYTES};

/// Sessions by their keys: the ticket of TLS 1.3, the session ID of TLS 1.2. There are few: a search is a walk.
#[derive(Default)]
pub(crate) struct Tickets {
    entries: Vec<Entry>,
    bytes: usize,
    /// Data connections that have resumed.
    resumed: u32,
    uses: Uses,
}

struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
    origin: Origin,
    /// The number of the data connection that it came with, and that used it last; control's is 0.
    made: u32,
    touched: u32,
    used: bool,
}

/// Which connection a ticket was sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Control,
    Data,
}

/// How the client uses its tickets, as far as it has shown it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Uses {
    #[default]
    Unknown,
    /// It had one that it knew already, and took another.
    Once,
    /// It came with the same one again, as OpenSSL and GnuTLS let their users do.
    Again,
}

impl Tickets {
    /// Remembers a session, if it fits. One of a data connection makes room for itself among its like.
    pub(crate) fn put(&mut self, origin: Origin, key: Vec<u8>, value: Vec<u8>) -> bool {
        let size = key.len() + value.len();
        if size > CONTROL_TICKETS_LIMIT_BYTES {
            return false;
        }
        match origin {
            Origin::Control if self.bytes + size > CONTROL_TICKETS_LIMIT_BYTES => return false,
            Origin::Control => {}
            Origin::Data => {
                while self.data_tickets() >= DATA_TICKETS_KEPT || self.bytes + size > TICKETS_LIMIT_BYTES {
                    if !self.forget_one() {
                        return false;
                    }
                }
            }
        }
        self.bytes += size;
        let made = match origin {
            Origin::Control => 0,
            // It is counted when its handshake is complete, which is right after this.
            Origin::Data => self.resumed + 1,
        };
        let touched = made;
        self.entries.push(Entry { key, value, origin, made, touched, used: false });
        true
    }

    /// The session of this key. It stays: clients come with one ticket again and again, and nothing can be replayed
    /// where no data is accepted before the handshake is through.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
    }

    /// A data connection has resumed this session.
    pub(crate) fn resumed(&mut self, key: &[u8]) {
        self.resumed += 1;
        let now = self.resumed;
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) else { return };
        entry.touched = now;
        if std::mem::replace(&mut entry.used, true) {
            self.uses = Uses::Again;
        } else if self.uses == Uses::Unknown && now >= 2 && entry.made + 2 <= now {
            // The ticket was there when the one before was used: that one could have been used again.
            self.uses = Uses::Once;
        }
    }

    pub(crate) fn uses(&self) -> Uses {
        self.uses
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn data_tickets(&self) -> usize {
        self.entries.iter().filter(|entry| entry.origin == Origin::Data).count()
    }

    fn forget_one(&mut self) -> bool {
        let data = self.entries.iter().enumerate().filter(|(_, entry)| entry.origin == Origin::Data);
        let Some((index, _)) = data.min_by_key(|(_, entry)| entry.touched) else { return false };
        let entry = self.entries.remove(index);
        self.bytes -= entry.key.len() + entry.value.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CONTROL_TICKETS;

    fn key(number: usize) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn with_control(count: usize) -> Tickets {
        let mut tickets = Tickets::default();
        for number in 0..count {
            assert!(tickets.put(Origin::Control, key(number), vec![0; 100]));
        }
        tickets
    }

    #[test]
    fn those_of_control_stay_and_those_of_data_give_way() {
        let mut tickets = with_control(CONTROL_TICKETS);
        for number in 100..100 + 3 * DATA_TICKETS_KEPT {
            assert!(tickets.put(Origin::Data, key(number), vec![0; 100]));
            // Used each time, so it outlives all that are newer.
            tickets.resumed(&key(100));
        }
        assert_eq!(tickets.len(), CONTROL_TICKETS + DATA_TICKETS_KEPT);
        assert!((0..CONTROL_TICKETS).all(|number| tickets.get(&key(number)).is_some()));
        assert!(tickets.get(&key(100)).is_some() && tickets.get(&key(101)).is_none());
        assert!(tickets.get(&key(99 + 3 * DATA_TICKETS_KEPT)).is_some());
    }

    #[test]
    fn bytes_are_bounded() {
        let mut tickets = Tickets::default();
        assert!(!tickets.put(Origin::Control, key(0), vec![0; CONTROL_TICKETS_LIMIT_BYTES]));
        assert!(tickets.put(Origin::Control, key(0), vec![0; CONTROL_TICKETS_LIMIT_BYTES - 8]));
        assert!(!tickets.put(Origin::Control, key(1), Vec::new()));
        for number in 10..20 {
            assert!(tickets.put(Origin::Data, key(number), vec![0; CONTROL_TICKETS_LIMIT_BYTES / 2 - 8]));
            assert!(tickets.bytes <= TICKETS_LIMIT_BYTES);
        }
        assert!(tickets.put(Origin::Data, key(30), vec![0; CONTROL_TICKETS_LIMIT_BYTES - 8]));
        assert!(tickets.bytes <= TICKETS_LIMIT_BYTES);
        assert_eq!(tickets.len(), 2);
    }

    /// `3` is a data connection that resumes with the ticket 3, `3+9` one that gets a new ticket 9 with it.
    #[track_caller]
    fn check(story: &str, expected: Uses) {
        let mut tickets = with_control(4);
        for word in story.split_whitespace() {
            let (used, new) = word.split_once('+').map_or((word, None), |(used, new)| (used, Some(new)));
            let number = |word: &str| key(word.parse().expect("a number"));
            if let Some(new) = new {
                assert!(tickets.put(Origin::Data, number(new), vec![0; 100]));
            }
            tickets.resumed(&number(used));
        }
        assert_eq!(tickets.uses(), expected, "{story}");
    }

    #[test]
    fn how_clients_use_their_tickets() {
        check("", Uses::Unknown);
        check("3", Uses::Unknown);
        check("3 3", Uses::Again);
        check("3 2", Uses::Once);
        // Always the newest: it might use one again where it gets no newer one.
        check("3+9 9+10 10", Uses::Unknown);
        check("3+9 9 9", Uses::Again);
        check("3+9 9 2", Uses::Once);
        // One that it has known for long, as clients with a queue of tickets do.
        check("3+9 2", Uses::Once);
        // Whoever comes again with one never needed another.
        check("3 2 3", Uses::Again);
        check("3 3 2", Uses::Again);
    }
}
