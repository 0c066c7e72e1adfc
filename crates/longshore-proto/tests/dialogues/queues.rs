//! Transfers that are sent without waiting for answers, on one data connection that stays.
//!
//! Not inside: what opens and closes it when nothing waits ([`keeping`](crate::keeping)).

use longshore_proto::server::Policy;

use crate::common::{World, logged_in};
use crate::keeping::check_kept;

const GONE: &str = "425 data.connection-closed-by-refusal";
const CUT: &str = "425 data.connection-cut";

#[test]
fn downloads_with_a_refusal_between() {
    check_kept(&[
        ("file", "/b 7"),
        ("bytes", "RETR a\\r\\nRETR none\\r\\nRETR b\\r\\nLIST d\\r\\nRETR d\\r\\nRETR a\\r\\n"),
        ("expect", "125 transfer.begins"),
        ("expect", "250 transfer.sent-kept 100"),
        ("expect", "550 file.not-found"),
        ("expect", "125 transfer.begins"),
        ("expect", "250 transfer.sent-kept 7"),
        ("expect", "125 transfer.begins"),
        ("expect", "250 transfer.sent-kept 0"),
        ("expect", "550 file.is-a-directory"),
        ("expect", "125 transfer.begins"),
        ("expect", "250 transfer.sent-kept 100"),
        ("stays", "yes"),
    ]);
}

/// The final answer of each file comes before the mark of the next, which begins only then.
#[test]
fn one_begins_when_the_one_before_is_answered() {
    check_kept(&[
        ("hold", "commit"),
        ("transfer", "complete 3"),
        ("bytes", "STOR x\\r\\nSTOR y\\r\\nRETR a\\r\\n"),
        ("expect", "125 transfer.begins The data connection stands, the transfer of /x begins"),
        ("nothing", ""),
        ("answer", "commit"),
        ("expect", "250 transfer.stored-kept 3 bytes received, /x"),
        ("expect", "125 transfer.begins The data connection stands, the transfer of /y begins"),
        ("nothing", ""),
        ("answer", "commit"),
        ("expect", "250 transfer.stored-kept 3 bytes received, /y"),
        ("expect", "125"),
        ("expect", "250 transfer.sent-kept"),
        ("size", "/x 3"),
        ("size", "/y 3"),
    ]);
}

/// Behind a refused upload the client's next bytes may be the refused file's: nobody behind it uses the connection.
#[test]
fn uploads_with_a_refusal_between() {
    check_kept(&[
        (
            "bytes",
            "STOR x\\r\\nSTOR d\\r\\nSTOR y\\r\\nPWD\\r\\nAPPE x\\r\\nSTOU z\\r\\nRETR a\\r\\nLIST\\r\\n",
        ),
        ("expect", "125"),
        ("expect", "250 transfer.stored-kept"),
        ("expect", "553"),
        ("expect", GONE),
        ("expect", "257"),
        ("expect", GONE),
        ("expect", GONE),
        ("expect", GONE),
        ("expect", GONE),
        ("stays", "no"),
        ("size", "/x 10"),
        ("size", "/y none"),
        ("size", "/z none"),
        ("bytes", "PASV\\r\\nSTOR y\\r\\nSTOR z\\r\\n"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
        ("size", "/z 10"),
    ]);
    // A new arrangement in the queue serves those behind it.
    check_kept(&[
        ("bytes", "STOR d\\r\\nSTOR y\\r\\nPASV\\r\\nSTOR z\\r\\n"),
        ("expect", "553"),
        ("expect", GONE),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "250"),
        ("size", "/y none"),
        ("size", "/z 10"),
    ]);
    // What forgets the refusal, too.
    check_kept(&[
        ("bytes", "STOR d\\r\\nABOR\\r\\nSTOR y\\r\\n"),
        ("expect", "553"),
        ("expect", "226 abort.idle"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
}

/// A line that could not be read may have been an upload whose bytes come all the same.
#[test]
fn a_line_between_that_is_none() {
    let long = format!("STOR {}\r\n", "n".repeat(5000));
    for (line, answer) in [(long.as_str(), "500 line.too-long"), ("STOR a\0b\r\n", "501 line.nul")] {
        check_kept(&[
            ("bytes", &format!("STOR x\r\n{line}STOR y\r\n")),
            ("expect", "125"),
            ("expect", "250 transfer.stored-kept"),
            ("expect", answer),
            ("stays", "no"),
            ("expect", GONE),
            ("size", "/y none"),
        ]);
    }
    // What is no command of ours is no upload either.
    check_kept(&[
        ("bytes", "STOR x\r\nXYZZY y\r\n\r\nSTOR y\r\n"),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "500 command.unknown"),
        ("expect", "500 line.empty"),
        ("expect", "125"),
        ("expect", "250"),
    ]);
}

#[test]
fn uploads_with_one_between_that_cannot_be_stored() {
    check_kept(&[
        ("hold", "commit"),
        ("bytes", "STOR x\\r\\nSTOR y\\r\\nRETR a\\r\\n"),
        ("expect", "125"),
        ("answer", "commit fails Quota"),
        ("expect", "552"),
        ("expect", GONE),
        ("expect", GONE),
        ("stays", "no"),
        ("size", "/x none"),
        ("size", "/y none"),
    ]);
    check_kept(&[
        ("transfer", "fills 5"),
        ("bytes", "STOR x\\r\\nSTOR y\\r\\n"),
        ("expect", "125"),
        ("expect", "452"),
        ("expect", GONE),
    ]);
}

#[test]
fn one_that_is_cut_between() {
    for command in ["RETR a", "STOR x"] {
        check_kept(&[
            ("hold", "move"),
            ("bytes", &format!("{command}\\r\\n{command}\\r\\n{command}\\r\\nSTOR y\\r\\nNOOP\\r\\n")),
            ("expect", "125"),
            ("answer", "move complete 9"),
            ("expect", "250"),
            ("expect", "125"),
            ("transfer", "reset 7"),
            ("release", "move"),
            ("expect", "426"),
            ("expect", CUT),
            ("expect", CUT),
            ("expect", "200"),
            ("stays", "no"),
            ("size", "/y none"),
        ]);
    }
}

#[test]
fn what_changes_between_two_of_them() {
    // What closes it closes it for those behind.
    for line in ["MODE S", "MODE C"] {
        check_kept(&[
            ("bytes", &format!("RETR a\\r\\n{line}\\r\\nRETR a\\r\\n")),
            ("expect", "125"),
            ("expect", "250"),
            ("expect", "200"),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
    }
    check_kept(&[
        (
            "bytes",
            "RETR a\\r\\nTYPE A\\r\\nSTRU R\\r\\nCWD d\\r\\nRETR /a\\r\\nPASV\\r\\nRETR /a\\r\\nRETR /a\\r\\n",
        ),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "200"),
        ("expect", "200"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
    ]);
}

#[test]
fn an_abort_in_the_middle() {
    check_kept(&[
        ("transfer", "goes on 5"),
        ("bytes", "RETR a\\r\\nSTOR x\\r\\nPWD\\r\\nRETR a\\r\\n"),
        ("expect", "125"),
        ("send", "ABOR"),
        ("expect", "426 transfer.aborted"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "257"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
        ("stays", "no"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
    // What has all its bytes is stored; what waits has not begun; nothing stays.
    check_kept(&[
        ("hold", "commit"),
        ("bytes", "STOR x\\r\\nSTOR y\\r\\n"),
        ("expect", "125"),
        ("send", "ABOR"),
        ("nothing", ""),
        ("answer", "commit"),
        ("expect", "250 transfer.stored-kept"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
        ("stays", "no"),
        ("size", "/x 10"),
        ("size", "/y none"),
    ]);
    // Between two of them, before the mark of the second.
    check_kept(&[
        ("hold", "storage"),
        ("send", "RETR a"),
        ("send", "ABOR"),
        ("answer", "storage"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
        ("stays", "no"),
    ]);
    // Behind an ABOR the queue goes on, with an arrangement of its own.
    check_kept(&[
        ("transfer", "goes on 5"),
        ("send", "RETR a"),
        ("expect", "125"),
        ("bytes", "ABOR\\r\\nPASV\\r\\n"),
        ("expect", "426"),
        ("expect", "226"),
        ("expect", "227"),
        ("transfer", "complete 5"),
        ("bytes", "RETR a\\r\\nRETR a\\r\\n"),
        ("expect", "150"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
    ]);
}

#[test]
fn noop_and_stat_overtake_only_the_last_of_them() {
    check_kept(&[
        ("transfer", "goes on 5"),
        ("send", "RETR a"),
        ("expect", "125"),
        ("send", "NOOP"),
        ("expect", "200"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "RETR /a: 5 bytes moved so far"),
        ("send", "RETR a"),
        ("send", "NOOP"),
        ("send", "STAT"),
        ("nothing", ""),
        ("transfer", "complete 5"),
        ("release", "move"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "200"),
        ("expect", "211"),
        ("line", "a data connection stays open for the next transfer"),
    ]);
}

#[test]
fn the_end_with_a_queue() {
    // QUIT finishes it.
    check_kept(&[
        ("bytes", "RETR a\\r\\nSTOR x\\r\\nQUIT\\r\\nSTOR y\\r\\n"),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "221"),
        ("closed", ""),
        ("stays", "no"),
        ("size", "/y none"),
    ]);
    // Without QUIT what has not begun does not.
    check_kept(&[
        ("hold", "commit"),
        ("bytes", "STOR x\\r\\nSTOR y\\r\\n"),
        ("expect", "125"),
        ("end", ""),
        ("answer", "commit"),
        ("expect", "250"),
        ("expect", "450 transfer.not-begun"),
        ("closed", ""),
        ("stays", "no"),
        ("size", "/x 10"),
        ("size", "/y none"),
    ]);
    // A server that drains finishes what it has read.
    check_kept(&[
        ("hold", "move"),
        ("bytes", "RETR a\\r\\nRETR a\\r\\n"),
        ("expect", "125"),
        ("drain", ""),
        ("release", "move"),
        ("expect", "250"),
        ("expect", "125"),
        ("expect", "250"),
        ("expect", "421 session.shutdown"),
        ("closed", ""),
        ("stays", "no"),
    ]);
    // One that shuts down stops what runs.
    check_kept(&[
        ("transfer", "goes on 5"),
        ("bytes", "RETR a\\r\\nRETR a\\r\\n"),
        ("expect", "125"),
        ("shutdown", ""),
        ("expect", "426 transfer.shutdown"),
        ("expect", "421 session.shutdown"),
        ("closed", ""),
        ("stays", "no"),
    ]);
}

/// REST in each TYPE, MODE and STRU, for downloads and uploads.
#[test]
fn rest_in_each_form() {
    let policy = Policy { deflate: true, ..Policy::default() };
    for representation in ["A", "A T", "E", "I", "L 8"] {
        for structure in ["F", "R", "P"] {
            for mode in ["S", "B", "C", "Z"] {
                for command in ["RETR a", "STOR a", "APPE a"] {
                    let mut scene =
                        logged_in(policy.clone(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
                    for line in [
                        format!("TYPE {representation}"),
                        format!("STRU {structure}"),
                        format!("MODE {mode}"),
                    ] {
                        scene.play(&[("send", &line), ("expect", "200")]);
                    }
                    scene.play(&[
                        ("send", "PASV"),
                        ("expect", "227"),
                        ("send", "REST 40"),
                        ("expect", "350"),
                    ]);
                    scene.play(&[("send", command)]);
                    let keeps = ["B", "C"].contains(&mode);
                    let octets = ["I", "L 8"].contains(&representation);
                    if structure == "P" {
                        scene.play(&[("expect", "554 restart.pages REST 40 is not possible with STRU P")]);
                    } else if !octets && !keeps {
                        scene.play(&[("expect", "555 restart.type REST 40 counts octets")]);
                    } else {
                        scene.play(&[("expect", "150"), ("expect", if keeps { "250" } else { "226" })]);
                        assert_eq!(scene.world.job.as_ref().map(|job| job.offset), Some(40));
                    }
                    // It served this one transfer, and 0 is no restart in any form.
                    scene.play(&[("send", "PASV"), ("expect", "227"), ("send", "REST 0"), ("expect", "350")]);
                    scene.play(&[("send", command), ("expect", "150"), ("expect", "2")]);
                    assert_eq!(scene.world.job.as_ref().map(|job| job.offset), Some(0));
                    scene.end();
                }
            }
        }
    }
}
