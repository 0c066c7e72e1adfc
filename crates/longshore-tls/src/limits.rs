//! Every limit of this crate, in one place, and how the limits depend on each other.

/// Tickets that a TLS 1.3 client gets on the control connection; it may ask for fewer (RFC 9149).
///
/// A client that uses each ticket once begins this many data connections before it needs one from a data connection.
pub const CONTROL_TICKETS: usize = 8;

/// Tickets that a TLS 1.3 client gets on a data connection that resumed, unless it asks for another number.
pub const DATA_TICKETS: usize = 1;

/// The most tickets that a client gets on one data connection if it asks for a number (RFC 9149).
pub const DATA_TICKETS_LIMIT: usize = 2;

/// Tickets of data connections that a control session remembers; the one unused for longest is forgotten first.
/// Those of the control connection are never forgotten: some clients use nothing else.
pub const DATA_TICKETS_KEPT: usize = 16;

/// The length of a ticket, which is nothing but a name, in bytes.
pub const TICKET_BYTES: usize = 32;

/// How long a client is told to keep a ticket, in seconds; what it names is forgotten with its control session.
pub const TICKET_LIFETIME_SECONDS: u32 = 24 * 60 * 60;

/// Bytes of all tickets that a control session remembers. A ticket holds the client's certificates, if it has any.
pub const TICKETS_LIMIT_BYTES: usize = 64 * 1024;

/// Bytes that the tickets of the control connection may take of [`TICKETS_LIMIT_BYTES`], and the longest ticket.
pub const CONTROL_TICKETS_LIMIT_BYTES: usize = TICKETS_LIMIT_BYTES / 2;

/// The longest file of certificates or keys that is read, in bytes.
pub const PEM_LIMIT_BYTES: u64 = 1024 * 1024;

/// Days that a self-signed certificate is valid; some clients refuse more.
pub const SELF_SIGNED_DAYS: i64 = 825;

/// The largest TLS record on the wire in bytes: header, payload and what TLS 1.2 allows to be added.
pub const RECORD_LIMIT_BYTES: usize = 5 + 16 * 1024 + 2048;

/// Payload of the largest record that is sent, in bytes.
pub const RECORD_PAYLOAD_BYTES: usize = 16 * 1024;

/// Room for header, nonce, tag and type of one record that is sent, in bytes; the largest needs 29.
pub const RECORD_OVERHEAD_BYTES: usize = 64;

/// Bytes that may have come without making a whole message. A handshake message may be 64 KiB long, and certificates
/// of clients are.
pub const INCOMING_LIMIT_BYTES: usize = 80 * 1024;

/// One read during a handshake, in bytes.
pub const HANDSHAKE_READ_BYTES: usize = 4 * 1024;

/// The first reads of a transfer, in bytes; a small file needs no more.
pub const FIRST_READ_BYTES: usize = 20 * 1024;

/// The reads of a transfer that fills the first ones, in bytes.
pub const READ_BYTES: usize = 128 * 1024;

/// The reads of a transfer that fills those before, in bytes: the client is fast, and each read has its price.
pub const LARGE_READ_BYTES: usize = 512 * 1024;

/// Payload that one write encrypts before it goes to the socket, in bytes.
pub const WRITE_BYTES: usize = 32 * RECORD_PAYLOAD_BYTES;

/// Unsent bytes behind which the next write is put, so that both go out in one call, in bytes.
pub const COALESCE_BYTES: usize = 4 * 1024;

/// Bytes shown of a client that speaks something else than TLS.
pub const SHOWN_BYTES: usize = 24;

/// Sessions that a client remembers for the data connections of one control connection; TLS 1.3 uses each ticket once.
pub const CLIENT_SESSIONS: usize = 32;

const _: () = {
    assert!(
        FIRST_READ_BYTES >= RECORD_LIMIT_BYTES,
        "a whole record fits, or nothing would ever be decrypted"
    );
    assert!(LARGE_READ_BYTES >= READ_BYTES);
    assert!(READ_BYTES >= FIRST_READ_BYTES && READ_BYTES >= INCOMING_LIMIT_BYTES);
    assert!(INCOMING_LIMIT_BYTES > 64 * 1024 + RECORD_LIMIT_BYTES / 2);
    assert!(HANDSHAKE_READ_BYTES <= FIRST_READ_BYTES);
    assert!(DATA_TICKETS <= DATA_TICKETS_LIMIT && DATA_TICKETS_LIMIT <= DATA_TICKETS_KEPT);
    assert!(DATA_TICKETS >= 1, "clients that use each ticket once would come to an end");
    assert!(
        2 * CONTROL_TICKETS_LIMIT_BYTES <= TICKETS_LIMIT_BYTES,
        "the longest ticket fits beside those of control"
    );
};
