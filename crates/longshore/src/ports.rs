//! What the system does with ports that matters to a choice of passive ports. No sockets in here.

use std::ops::RangeInclusive;

/// The ports that Linux takes for outgoing connections, where it tells.
pub(crate) fn ephemeral() -> Option<RangeInclusive<u16>> {
    parse(&std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Some(first..=last),
        _ => None,
    }
}

/// What to know about passive ports that outgoing connections may already hold.
pub(crate) fn warning(passive: &RangeInclusive<u16>, ephemeral: &RangeInclusive<u16>) -> Option<String> {
    let overlap = passive.start() <= ephemeral.end() && ephemeral.start() <= passive.end();
    overlap.then(|| {
        format!(
            "passive ports {}-{} overlap with those of outgoing connections ({}-{}), which may hold some: choose \
             ports below or keep them free with net.ipv4.ip_local_reserved_ports",
            passive.start(),
            passive.end(),
            ephemeral.start(),
            ephemeral.end()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_system_writes_them() {
        assert_eq!(parse("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(parse("x 5"), None);
        assert_eq!(parse("5"), None);
    }

    #[test]
    fn overlaps() {
        let system = 32768..=60999;
        for (passive, warned) in [
            (30000..=30999, false),
            (30000..=32767, false),
            (30000..=32768, true),
            (40000..=40001, true),
            (60999..=61000, true),
            (61000..=62000, false),
            (1..=65535, true),
        ] {
            assert_eq!(warning(&passive, &system).is_some(), warned, "{passive:?}");
        }
    }
}
