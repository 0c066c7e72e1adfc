//! What a VXLAN datagram carries, as far as the link has to know it.
//!
//! The kernel leaves the last sum of TCP and UDP checksums to the device that sends; here no device ever does, so it is
//! done here. Not inside: anything that decides about packets.

/// VXLAN's header (RFC 7348 section 5), in bytes.
const VXLAN_BYTES: usize = 8;
/// Ethernet's header without tags, in bytes.
const ETHERNET_BYTES: usize = 14;
/// Behind these the IP packet begins.
const HEADERS_BYTES: usize = VXLAN_BYTES + ETHERNET_BYTES;
/// Ethernet's word for IPv4.
const IPV4: [u8; 2] = [0x08, 0x00];
/// IPv4's numbers of protocols.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The bytes of a datagram that a real link would have to carry: those of the IP packet.
pub(super) fn counted_bytes(datagram: &[u8]) -> usize {
    datagram.len().saturating_sub(HEADERS_BYTES)
}

/// Writes the checksum of TCP or UDP over IPv4; whatever else it is stays as it is.
pub(super) fn complete(datagram: &mut [u8]) {
    // None means that it is none of these, or a part of one, or damaged; the receiver will see.
    let _ = try_complete(datagram);
}

fn try_complete(datagram: &mut [u8]) -> Option<()> {
    let is_ipv4 = datagram.get(HEADERS_BYTES - 2..HEADERS_BYTES)? == IPV4;
    let packet = datagram.get_mut(HEADERS_BYTES..).filter(|_| is_ipv4)?;
    let header_bytes = usize::from(packet.first()? & 0x0F) * 4;
    let total_bytes = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let is_fragment = u16::from_be_bytes(packet.get(6..8)?.try_into().ok()?) & 0x3FFF != 0;
    let protocol = *packet.get(9)?;
    let checksum_at = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    // Source and destination address are part of the sum (RFC 9293 section 3.1).
    let addresses = sum(packet.get(12..20)?);
    let segment = packet.get_mut(header_bytes..total_bytes).filter(|_| !is_fragment)?;
    segment.get_mut(checksum_at..checksum_at + 2)?.fill(0);
    let mut total = sum(segment) + addresses + u64::from(protocol) + segment.len() as u64;
    while total > 0xFFFF {
        total = (total >> 16) + (total & 0xFFFF);
    }
    let checksum = match !(total as u16) {
        // UDP's zero says that there is none (RFC 768).
        0 if protocol == UDP => 0xFFFF,
        checksum => checksum,
    };
    segment[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

/// The sum of all words of two bytes, not folded yet.
fn sum(bytes: &[u8]) -> u64 {
    // Words of four bytes give the same when they are folded, in half the steps.
    let (words, rest) = bytes.as_chunks::<4>();
    let whole: u64 = words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    whole + u64::from(u32::from_be_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UDP from 10.77.0.1:1 to 10.77.0.2:2 with these bytes, in Ethernet, in VXLAN.
    fn datagram(content: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u16::try_from(bytes).expect("short").to_be_bytes();
        let mut bytes = vec![0; HEADERS_BYTES - 2];
        bytes.extend(IPV4);
        bytes.extend([0x45, 0]);
        bytes.extend(length(20 + 8 + content.len()));
        bytes.extend([0, 0, 0x40, 0, 64, UDP, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]);
        bytes.extend([0, 1, 0, 2]);
        bytes.extend(length(8 + content.len()));
        bytes.extend([0xAA, 0xAA]);
        bytes.extend(content);
        bytes
    }

    /// The words of pseudo-header and segment, the checksum among them, fold to all ones where it is right.
    #[track_caller]
    fn check(content: &[u8]) {
        let mut bytes = datagram(content);
        complete(&mut bytes);
        let packet = &bytes[HEADERS_BYTES..];
        let mut words: Vec<u8> = [&packet[12..], &[0, UDP], &packet[24..26]].concat();
        if !content.len().is_multiple_of(2) {
            // What pads the sum stands behind the segment, before what was put behind it here.
            words.insert(8 + 8 + content.len(), 0);
        }
        let mut total: u64 =
            words.chunks(2).map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        while total > 0xFFFF {
            total = (total >> 16) + (total & 0xFFFF);
        }
        assert_eq!(total, 0xFFFF, "{content:?}");
    }

    #[test]
    fn checksums_are_right() {
        for content in [&b""[..], b"a", b"ab", b"abc", b"abcd", b"\xFF\xFF\xFF\xFF\xFF", &[0xFE; 1400]] {
            check(content);
        }
    }

    #[test]
    fn whatever_else_it_is_stays_as_it_is() {
        let good = datagram(b"content");
        let mut others: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
        let mut changed = |at: usize, value: u8| {
            let mut other = good.clone();
            other[at] = value;
            others.push(other);
        };
        changed(HEADERS_BYTES - 1, 0x06);
        changed(HEADERS_BYTES + 7, 1);
        changed(HEADERS_BYTES + 9, 1);
        changed(HEADERS_BYTES, 0x4F);
        for other in others {
            let mut bytes = other.clone();
            complete(&mut bytes);
            assert_eq!(bytes, other);
        }
    }

    #[test]
    fn the_ip_packet_is_what_counts() {
        assert_eq!(counted_bytes(&datagram(b"four")), 32);
        assert_eq!(counted_bytes(b""), 0);
    }
}
