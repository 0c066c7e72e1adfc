//! Directories, names, sizes and times, and what LIST and NLST make of a path.

use longshore_path::VirtualPath;
use longshore_proto::server::{Event, Policy, StorageOp};
use longshore_proto::verbs::Verb;

use crate::common::{Kind, Work, World, check, check_logged_in, logged_in};

#[test]
fn directories() {
    check_logged_in(&[
        ("send", "CWD d"),
        ("expect", "250 directory.changed The current directory is now /d"),
        ("send", "PWD"),
        ("expect", "257 directory.current \"/d\""),
        ("send", "MKD e"),
        ("expect", "257 directory.made \"/d/e\" was made"),
        ("send", "XCWD e"),
        ("expect", "250"),
        ("send", "CDUP"),
        ("expect", "250 directory.changed The current directory is now /d"),
        ("send", "XCUP"),
        ("expect", "250 directory.changed The current directory is now /"),
        ("send", "CDUP"),
        ("expect", "250 directory.changed The current directory is now /"),
        ("send", "CWD ../../d/./e/.."),
        ("expect", "250 directory.changed The current directory is now /d"),
        ("send", "RMD e"),
        ("expect", "250 directory.removed /d/e was removed"),
        ("send", "RMD /"),
        ("expect", "550"),
        ("send", "CWD /a"),
        ("expect", "550 file.not-a-directory"),
        ("send", "CWD /none"),
        ("expect", "550 file.not-found"),
        ("send", "PWD"),
        ("expect", "257 directory.current \"/d\""),
        ("send", "MKD /a"),
        ("expect", "550 file.exists"),
        ("send", "XMKD /f"),
        ("expect", "257"),
        ("send", "XRMD /f"),
        ("expect", "250"),
        ("send", "XPWD"),
        ("expect", "257"),
        ("send", "CWD"),
        ("expect", "501"),
    ]);
}

#[test]
fn quotes_within_quotes_are_doubled() {
    check_logged_in(&[
        ("send", "MKD say \"hi\""),
        ("expect", "257 directory.made \"/say \"\"hi\"\"\" was made"),
        ("send", "CWD say \"hi\""),
        ("expect", "250 directory.changed The current directory is now /say \"hi\""),
        ("send", "PWD"),
        ("expect", "257 directory.current \"/say \"\"hi\"\"\" is the current directory"),
        ("send", "MKD \""),
        ("expect", "257 directory.made \"/say \"\"hi\"\"/\"\"\" was made"),
    ]);
}

#[test]
fn renaming() {
    check_logged_in(&[
        ("send", "RNFR a"),
        ("expect", "350 rename.pending"),
        ("send", "RNTO b"),
        ("expect", "250 rename.done /a is now /b"),
        ("size", "/b 100"),
        ("size", "/a none"),
        ("send", "RNTO c"),
        ("expect", "503 sequence.rnto-without-rnfr"),
        ("send", "RNFR a"),
        ("expect", "550 file.not-found"),
        ("send", "RNTO c"),
        ("expect", "503 sequence.rnto-without-rnfr"),
        ("send", "RNFR b"),
        ("expect", "350"),
        ("send", "RNTO"),
        ("expect", "501"),
        ("send", "RNTO c"),
        ("expect", "503"),
        ("send", "RNFR b"),
        ("expect", "350"),
        ("send", "RNTO a\tb"),
        ("expect", "553 target.name-not-allowed"),
        ("send", "RNFR b"),
        ("expect", "350"),
        ("send", "RNFR d"),
        ("expect", "350"),
        ("send", "RNTO e"),
        ("expect", "250 rename.done /d is now /e"),
    ]);
    // Storage does not say which of the two names it missed.
    check_logged_in(&[
        ("send", "RNFR a"),
        ("expect", "350"),
        ("send", "RNTO none/b"),
        ("expect", "553 target.rename-not-found /a is gone, or the directory of /none/b does not exist"),
        ("size", "/a 100"),
        ("hold", "storage"),
        ("bytes", "RNFR a\\r\\nRNTO b\\r\\n"),
        ("answer", "storage"),
        ("expect", "350"),
        ("answer", "storage fails NotFound"),
        ("expect", "553 target.rename-not-found"),
    ]);
    // RNFR lives for exactly the next command, whichever it is.
    for between in
        ["NOOP", "STAT", "FEAT", "XYZZY", "PASV", "SIZE a", "USER", "AUTH TLS", "ABOR", "REST 0", "RNFR none"]
    {
        check_logged_in(&[
            ("send", "RNFR a"),
            ("expect", "350"),
            ("send", between),
            ("expect", ""),
            ("send", "RNTO b"),
            ("expect", "503 sequence.rnto-without-rnfr"),
            ("size", "/a 100"),
        ]);
    }
    for line in ["RNFR a\\r\\na\\0b\\r\\nRNTO b\\r\\n", "RNFR a\\r\\n\\r\\nRNTO b\\r\\n"] {
        check_logged_in(&[
            ("bytes", line),
            ("expect", "350"),
            ("expect", "50"),
            ("expect", "503 sequence.rnto"),
        ]);
    }
}

#[test]
fn removing() {
    check_logged_in(&[
        ("send", "DELE a"),
        ("expect", "250 file.removed /a was removed"),
        ("send", "DELE a"),
        ("expect", "550 file.not-found"),
        ("send", "DELE d"),
        ("expect", "550 file.is-a-directory"),
        ("file", "/d/x 1"),
        ("send", "RMD d"),
        ("expect", "550 directory.not-empty"),
        ("hold", "storage"),
        ("send", "DELE d/x"),
        ("answer", "storage fails Busy"),
        ("expect", "450 file.busy"),
        ("send", "DELE d/x"),
        ("answer", "storage fails Fault"),
        ("expect", "450 storage.trouble"),
    ]);
}

#[test]
fn sizes_and_times() {
    check_logged_in(&[
        ("send", "SIZE a"),
        ("expect", "550 size.ascii"),
        ("send", "SIZE none"),
        ("expect", "550 size.ascii"),
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "SIZE a"),
        ("expect", "213 file.size 100"),
        ("send", "SIZE none"),
        ("expect", "550 file.not-found"),
        ("send", "SIZE d"),
        ("expect", "550 file.is-a-directory"),
        ("send", "SIZE"),
        ("expect", "501"),
        ("send", "MDTM a"),
        ("expect", "213 file.modified 20010203040506"),
        ("send", "MFMT 20261120130405 a"),
        ("expect", "213 file.modified-set Modify=20261120130405; /a"),
        ("send", "MDTM a"),
        ("expect", "213 file.modified 20261120130405"),
        // MDTM reads; a time before the name is a part of the name.
        ("send", "MDTM 20261120130405 a"),
        ("expect", "550 file.not-found"),
        ("send", "MFMT 2026 a"),
        ("expect", "501"),
        ("send", "MFMT 20261120130405"),
        ("expect", "501"),
        ("send", "MFMT 20261120130405 none"),
        ("expect", "550 file.not-found"),
    ]);
}

/// What SITE CHMOD asks of storage.
#[track_caller]
fn sets(line: &str, path: &str, mode: u32, said: &str) {
    let mut scene = logged_in(Policy::default(), World::connection("127.0.0.1:21", "127.0.0.1:40000"));
    scene.play(&[
        ("send", "CWD d"),
        ("expect", "250"),
        ("file", "/d/x 1"),
        ("hold", "storage"),
        ("send", line),
    ]);
    let path = VirtualPath::new(path.as_bytes()).expect("a path");
    match scene.world.work(Kind::Storage) {
        Some(Work::Storage(op)) => assert_eq!(*op, StorageOp::SetMode(path.clone(), mode)),
        other => panic!("{other:?}"),
    }
    scene.play(&[("answer", "storage"), ("expect", said)]);
    let changed = Event::Changed { verb: Verb::Site, path, to: None };
    assert_eq!(scene.world.events.last(), Some(&changed));
    scene.end();
}

#[test]
fn modes() {
    sets("SITE CHMOD 644 /a", "/a", 0o644, "200 file.mode-set /a has the mode 0644 now");
    sets("site chmod 0600 x", "/d/x", 0o600, "200 file.mode-set /d/x has the mode 0600 now");
    sets("SITE CHMOD 7 ../d/./x", "/d/x", 0o7, "200 file.mode-set /d/x has the mode 0007 now");
    sets("SITE CHMOD 0 /a", "/a", 0, "200 file.mode-set /a has the mode 0000 now");
    sets("SITE CHMOD 3777 /d", "/d", 0o3777, "200 file.mode-set /d has the mode 3777 now");
    for bad in ["4755", "4000", "7777", "10000", "00644", "888", "64x", "u+x", "-1", "+7", "0x1", "a"] {
        check_logged_in(&[("send", &format!("SITE CHMOD {bad} a")), ("expect", "501 command.bad-argument")]);
    }
    for missing in ["SITE CHMOD", "SITE CHMOD 644", "SITE CHMOD  "] {
        check_logged_in(&[("send", missing), ("expect", "501 command.bad-argument")]);
    }
    let table: &[(&str, &str)] = &[
        ("NotFound", "550 file.not-found"),
        ("NoPermission", "550 file.no-permission"),
        ("ReadOnly", "550 file.no-permission"),
        ("Unsupported", "550 storage.refused"),
        ("Fault", "550 storage.refused"),
    ];
    for (failure, expected) in table {
        check_logged_in(&[
            ("hold", "storage"),
            ("send", "SITE CHMOD 644 a"),
            ("answer", &format!("storage fails {failure}")),
            ("expect", expected),
        ]);
    }
    check_logged_in(&[
        ("send", "SITE CHMOD 644 none"),
        ("expect", "550 file.not-found /none"),
        ("send", "SITE CHMOD 644 a\tb"),
        ("expect", "550 "),
    ]);
    check(&[("send", "SITE CHMOD 644 a"), ("expect", "530 login.needed")]);
}

#[test]
fn changes_are_told() {
    let mut scene = logged_in(Policy::default(), World::connection("127.0.0.1:21", "127.0.0.1:40000"));
    scene.world.events.clear();
    scene.play(&[
        ("send", "MKD x"),
        ("expect", "257"),
        ("send", "RNFR x"),
        ("expect", "350"),
        ("send", "RNTO y"),
        ("expect", "250"),
        ("send", "RMD y"),
        ("expect", "250"),
        ("send", "MFMT 20261120130405 a"),
        ("expect", "213"),
        ("send", "SITE CHMOD 644 a"),
        ("expect", "200"),
        ("send", "SITE CHMOD 644 none"),
        ("expect", "550"),
        ("send", "DELE a"),
        ("expect", "250"),
        ("send", "DELE a"),
        ("expect", "550"),
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "STAT /"),
        ("expect", "212"),
        ("send", "MLST /"),
        ("expect", "250"),
    ]);
    let changed: Vec<Verb> = scene
        .world
        .events
        .iter()
        .map(|event| match event {
            Event::Changed { verb, .. } => *verb,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(changed, [Verb::Mkd, Verb::Rnto, Verb::Rmd, Verb::Mfmt, Verb::Site, Verb::Dele]);
    scene.end();
}

/// What a listing command sends, in a tree with names that look like patterns.
#[track_caller]
fn lists(command: &str, expected: &str) {
    check_logged_in(&[
        ("file", "/b.txt 1"),
        ("file", "/c.txt 1"),
        ("file", "/d/b.txt 1"),
        ("file", "/d/x 1"),
        ("file", "/[ab] 1"),
        ("directory", "/e*"),
        ("file", "/e*/in 1"),
        ("file", "/.hidden 1"),
        ("directory", "/empty"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", command),
        ("expect", "150"),
        ("expect", "226 transfer.sent"),
        ("sent", expected),
    ]);
}

#[test]
fn wildcards_in_the_last_component() {
    lists("LIST *.txt", "b.txt c.txt");
    lists("LIST -la *.txt", "b.txt c.txt");
    lists("LIST ?.txt", "b.txt c.txt");
    lists("LIST [bx].txt", "b.txt");
    lists("LIST d/*", "b.txt x");
    lists("LIST /d/*.txt", "b.txt");
    lists("LIST nothing*", "");
    lists("LIST empty", "");
    lists("LIST .*", ".hidden");
    // What exists is not a pattern.
    lists("LIST [ab]", "[ab]");
    lists("LIST e*", "in");
    lists("LIST e?", "e*");
    // A pattern in another component is a name.
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "LIST */x"),
        ("expect", "550 file.not-found"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "LIST none/*"),
        ("expect", "550 file.not-found /none does"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "MLSD *"),
        ("expect", "550 file.not-found"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "MLSD a"),
        ("expect", "550 file.not-a-directory"),
    ]);
}

#[test]
fn names_can_be_used_as_they_stand() {
    lists("NLST d", "d/b.txt d/x");
    lists("NLST d/", "d/b.txt d/x");
    lists("NLST /d", "/d/b.txt /d/x");
    lists("NLST d/*.txt", "d/b.txt");
    lists("NLST *.txt", "b.txt c.txt");
    lists("NLST -1 /*.txt", "/b.txt /c.txt");
    lists("NLST ./d/..//d", "./d/..//d/b.txt ./d/..//d/x");
    lists("NLST b.txt", "b.txt");
    lists("NLST d/x", "d/x");
    lists("NLST empty", "");
    lists("NLST e*", "e*/in");
    check_logged_in(&[
        ("send", "CWD d"),
        ("expect", "250"),
        ("file", "/d/x 1"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "NLST"),
        ("expect", "150"),
        ("expect", "226"),
        ("sent", "x"),
    ]);
}

#[test]
fn what_is_asked_of_storage_is_what_is_answered() {
    let table: &[(&str, &str, &str)] = &[
        ("RETR a", "NotFound", "550 file.not-found"),
        ("RETR a", "NoPermission", "550 file.no-permission"),
        ("RETR a", "IsADirectory", "550 file.is-a-directory"),
        ("RETR a", "Busy", "450 file.busy"),
        ("RETR a", "Fault", "451 storage.failed"),
        ("LIST a", "NotFound", "550 file.not-found"),
        ("LIST a", "Fault", "451 storage.failed"),
        ("STOR a", "NoPermission", "553 target.no-permission"),
        ("STOR a", "ReadOnly", "553 target.no-permission"),
        ("STOR a", "Exists", "553 target.exists"),
        ("STOR a", "Name", "553 target.name-not-allowed"),
        ("STOR a", "NoSpace", "452 storage.no-space"),
        ("STOR a", "Quota", "552 storage.quota"),
        ("STOR a", "TooLarge", "552 storage.too-large"),
        ("STOR a", "Busy", "450 file.busy"),
        ("STOR a", "Fault", "451 storage.failed"),
    ];
    for (command, failure, expected) in table {
        check_logged_in(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("hold", "storage"),
            ("send", command),
            ("answer", &format!("storage fails {failure}")),
            ("expect", expected),
        ]);
    }
}
