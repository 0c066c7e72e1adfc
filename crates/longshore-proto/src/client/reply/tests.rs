//! Tables of replies, of servers and of the worst kind. Not inside: what replies mean.

use proptest::prelude::*;

use super::*;
use crate::line::Buffer;

/// Every reply, and the error that ended the reading.
fn replies_of(pieces: &[&[u8]]) -> (Vec<Reply>, Option<ReplyError>) {
    let mut buffer = Buffer::new(REPLY_LINE_LIMIT_BYTES);
    let mut parser = Parser::default();
    let mut replies = Vec::new();
    for piece in pieces {
        buffer.extend(piece);
        while let Some(line) = buffer.next_line() {
            match parser.read(line) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => {}
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

fn reply(code: u16, lines: &[&str]) -> Reply {
    Reply { code, lines: lines.iter().map(|line| line.as_bytes().to_vec()).collect() }
}

/// The whole, and two pieces cut at every byte, give the same replies.
#[track_caller]
fn check(input: impl AsRef<[u8]>, expected: &[Reply]) {
    let input = input.as_ref();
    for cut in 0..=input.len() {
        let (head, tail) = input.split_at(cut);
        assert_eq!(replies_of(&[head, tail]), (expected.to_vec(), None), "cut at {cut}");
    }
}

#[track_caller]
fn check_error(input: impl AsRef<[u8]>, expected: ReplyError) {
    assert_eq!(replies_of(&[input.as_ref()]), (vec![], Some(expected)));
}

#[test]
fn single_lines() {
    check("220 ready\r\n", &[reply(220, &["ready"])]);
    check("220 ready\n", &[reply(220, &["ready"])]);
    check("220\r\n", &[reply(220, &[""])]);
    check("220 \r\n", &[reply(220, &[""])]);
    check("220\tready\r\n", &[reply(220, &["ready"])]);
    check("  220 ready\r\n", &[reply(220, &["ready"])]);
    check("200 a\r\n550 b\r\n", &[reply(200, &["a"]), reply(550, &["b"])]);
    check("220 unended", &[]);
    check(b"150 \xE9.txt\r\n", &[Reply { code: 150, lines: vec![b"\xE9.txt".to_vec()] }]);
}

#[test]
fn several_lines() {
    check("220-a\r\nb\r\n220 c\r\n", &[reply(220, &["a", "b", "c"])]);
    check("220-a\n220-b\n220 c\n", &[reply(220, &["a", "b", "c"])]);
    check("211-a\r\n211 End\r\n", &[reply(211, &["a", "End"])]);
    check("211-a\r\n211\r\n", &[reply(211, &["a", ""])]);
    check("211-a\r\n 211 not the end\r\n211 End\r\n", &[reply(211, &["a", " 211 not the end", "End"])]);
    check("211-a\r\n200 not the end\r\n211 End\r\n", &[reply(211, &["a", "200 not the end", "End"])]);
    check("211-a\r\n200-nor this\r\n211 End\r\n", &[reply(211, &["a", "200-nor this", "End"])]);
    check("211-a\r\n2110 nor this\r\n211 End\r\n", &[reply(211, &["a", "2110 nor this", "End"])]);
    check("211-a\r\n\r\n211 End\r\n", &[reply(211, &["a", "", "End"])]);
    check("211-a\r\n211-211 b\r\n211 End\r\n", &[reply(211, &["a", "211 b", "End"])]);
}

/// How the servers that most people meet put their lines together.
#[test]
fn servers() {
    check(
        "220 (vsFTPd 3.0.5)\r\n331 Password, please.\r\n230 In.\r\n211-Features:\r\n EPRT\r\n REST STREAM\r\n211 End\r\n\
         227 Passive (192,0,2,1,156,64).\r\n",
        &[
            reply(220, &["(vsFTPd 3.0.5)"]),
            reply(331, &["Password, please."]),
            reply(230, &["In."]),
            reply(211, &["Features:", " EPRT", " REST STREAM", "End"]),
            reply(227, &["Passive (192,0,2,1,156,64)."]),
        ],
    );
    // ProFTPD with MultilineRFC2228: each line has the code.
    check(
        "220 ProFTPD [192.0.2.1]\r\n230-Hello\r\n230- world\r\n230 alice is in\r\n",
        &[reply(220, &["ProFTPD [192.0.2.1]"]), reply(230, &["Hello", " world", "alice is in"])],
    );
    // Pure-FTPd: a hyphen behind the hyphen, and a completion of two lines.
    check(
        "220---------- Pure-FTPd [TLS] ----------\r\n220-User 1 of 50.\r\n220 15 minutes.\r\n226-Sent\r\n226 0.1 s\r\n",
        &[
            reply(220, &["--------- Pure-FTPd [TLS] ----------", "User 1 of 50.", "15 minutes."]),
            reply(226, &["Sent", "0.1 s"]),
        ],
    );
    // IIS: END in capitals, 125 for every transfer.
    check(
        "220 Microsoft FTP Service\r\n211-Features:\r\n LANG EN*\r\n UTF8\r\n211 END\r\n125 Open.\r\n226 Done.\r\n",
        &[
            reply(220, &["Microsoft FTP Service"]),
            reply(211, &["Features:", " LANG EN*", " UTF8", "END"]),
            reply(125, &["Open."]),
            reply(226, &["Done."]),
        ],
    );
    // FileZilla Server: a greeting of several lines, 229 and 257.
    check(
        "220-FileZilla Server 1.9.4\r\n220 Visit us\r\n229 Extended (|||50001|)\r\n257 \"/\" is here.\r\n",
        &[
            reply(220, &["FileZilla Server 1.9.4", "Visit us"]),
            reply(229, &["Extended (|||50001|)"]),
            reply(257, &["\"/\" is here."]),
        ],
    );
    // Telnet in between, as old servers send it.
    let telnet = b"\xFF\xFB\x01220 \xFF\xF1ready\r\n331 \xFF\xFF\r\n";
    check(telnet, &[reply(220, &["ready"]), Reply { code: 331, lines: vec![vec![0xFF]] }]);
}

#[test]
fn lines_without_a_code_before_a_reply() {
    check("\r\nWelcome!\r\n220 ready\r\n", &[reply(220, &["ready"])]);
    check(
        "2200 no\r\n99 no\r\n600 no\r\n000 no\r\n22x no\r\n220x no\r\n220 yes\r\n",
        &[reply(220, &["yes"])],
    );
    let most = "noise\r\n".repeat(REPLY_LIMIT_STRAY_LINES);
    assert_eq!(replies_of(&[format!("{most}220 a\r\n{most}220 b\r\n").as_bytes()]).0.len(), 2);
    check_error(format!("{most}noise\r\n"), ReplyError::NotAReply("noise".to_owned()));
    let long = "x".repeat(SHOWN_BYTES);
    check_error(format!("{most}{long}yyy\r\n"), ReplyError::NotAReply(long));
}

#[test]
fn other_protocols() {
    check_error("SSH-2.0-OpenSSH_9.6\r\n", ReplyError::Foreign("SSH (SFTP)"));
    check_error("HTTP/1.1 400 Bad Request\r\n", ReplyError::Foreign("HTTP"));
    check_error("+OK ready\r\n", ReplyError::Foreign("POP3"));
    check_error("* OK ready\r\n", ReplyError::Foreign("IMAP"));
    check("220 hello\r\nSSH-2.0\r\n200 b\r\n", &[reply(220, &["hello"]), reply(200, &["b"])]);
}

#[test]
fn an_end_with_another_code_is_seen_by_silence() {
    let mut parser = Parser::default();
    let mut read = |line: &str| parser.read(Line::Command(line.as_bytes()));
    assert_eq!(read("230-Welcome"), Ok(None));
    assert_eq!(read("more"), Ok(None));
    assert_eq!(read("220 In"), Ok(None));
    assert!(parser.is_doubtful());
    assert_eq!(parser.settle(), Some(reply(230, &["Welcome", "more", "220 In"])));
    assert!(!parser.is_open() && parser.settle().is_none());
    assert_eq!(parser.read(Line::Command(b"230-Welcome")), Ok(None));
    assert!(parser.is_open() && !parser.is_doubtful() && parser.settle().is_none());
}

#[test]
fn bounds() {
    let line = "x".repeat(REPLY_LINE_LIMIT_BYTES - 4);
    assert_eq!(replies_of(&[format!("220 {line}\r\n").as_bytes()]).0.len(), 1);
    check_error(format!("220 {line}x\r\n"), ReplyError::LineTooLong);
    check_error("220 a\0b\r\n", ReplyError::Nul);
    let most = "a\r\n".repeat(REPLY_LIMIT_LINES - 2);
    assert_eq!(
        replies_of(&[format!("211-\r\n{most}211 End\r\n").as_bytes()]).0[0].lines.len(),
        REPLY_LIMIT_LINES
    );
    check_error(format!("211-\r\n{most}a\r\n211 End\r\n"), ReplyError::TooManyLines);
    let full = "x".repeat(REPLY_LIMIT_BYTES / 64);
    let most = format!("{full}\r\n").repeat(64);
    assert_eq!(replies_of(&[format!("211-\r\n{most}211\r\n").as_bytes()]).0.len(), 1);
    check_error(format!("211-x\r\n{most}"), ReplyError::TooManyBytes);
}

/// Bytes that are likely to mean something to a reader of replies.
fn speech() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"220".to_vec()),
        Just(b"211-".to_vec()),
        Just(b"211 ".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\xFF\xFB".to_vec()),
        Just(b"\r\0".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same(input in speech(), cuts in prop::collection::vec(0_usize..200, 0..6)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect();
        prop_assert_eq!(replies_of(&pieces), replies_of(&[&input]));
    }

    #[test]
    fn what_is_read_is_within_the_bounds(input in speech()) {
        for reply in replies_of(&[&input]).0 {
            prop_assert!((100..600).contains(&reply.code));
            prop_assert!(!reply.lines.is_empty() && reply.lines.len() <= REPLY_LIMIT_LINES);
            prop_assert!(reply.lines.iter().all(|line| !line.contains(&b'\n') && !line.contains(&0)));
        }
    }
}
