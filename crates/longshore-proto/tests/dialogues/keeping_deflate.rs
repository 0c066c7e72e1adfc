//! Data connections that stay in MODE Z, where the client has asked for it, and that every such mode closes them alike.
//!
//! Not inside: how OPTS MODE Z KEEP is written ([`parameters`](crate::parameters)).

use crate::common::Scene;
use crate::keeping::{MODES, NEXT, kept_in, offering_every_mode};

/// OPTS MODE Z KEEP: what takes it back closes it, and nothing else does.
#[test]
fn what_keeps_deflate_open_may_be_taken_back() {
    let next = |scene: &mut Scene| {
        scene.play(&[("stays", "yes")]);
        scene.play(NEXT);
    };
    let mut scene = kept_in(offering_every_mode(), "MODE Z", "PASV");
    for (line, answer) in
        [("OPTS MODE Z KEEP 1", "200"), ("OPTS MODE Z LEVEL 3", "200"), ("OPTS MODE Z KEEP 2", "501")]
    {
        scene.play(&[("send", line), ("expect", answer)]);
        next(&mut scene);
    }
    scene.play(&[
        ("send", "OPTS MODE Z KEEP 0"),
        ("expect", "200 options.mode-z-close"),
        ("stays", "no"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
    scene.end();
    // In another mode it says nothing of what stands there.
    for mode in ["MODE B", "MODE C"] {
        let mut scene = kept_in(offering_every_mode(), mode, "PASV");
        for line in ["OPTS MODE Z KEEP 1", "OPTS MODE Z KEEP 0"] {
            scene.play(&[("send", line), ("expect", "200")]);
            next(&mut scene);
        }
        scene.end();
    }
    // What is arranged and not yet used is not what stays.
    let mut scene = kept_in(offering_every_mode(), "MODE Z", "PASV");
    scene.play(&[("send", "PASV"), ("expect", "227"), ("send", "OPTS MODE Z KEEP 0"), ("expect", "200")]);
    scene.play(&[("send", "RETR a"), ("expect", "150"), ("expect", "226"), ("stays", "no")]);
    scene.end();
}

/// Whatever may have left bytes of an upload behind closes it in every mode, and those who wait behind are told.
#[test]
fn every_mode_closes_it_alike() {
    let refused = "425 data.connection-closed-by-refusal";
    for mode in MODES {
        for (end, line, answer, next) in [
            ("complete 5", "STOR d", "553", refused),
            ("complete 5", "STOR none/x", "553", refused),
            ("fills 7", "STOR x", "452", refused),
            ("reset 7", "STOR x", "426 transfer.upload-reset", "425 data.connection-cut"),
            ("cut 7", "STOR x", "426 transfer.upload-cut", "425 data.connection-cut"),
            ("reset 7", "RETR a", "426 transfer.reset", "425 data.connection-cut"),
        ] {
            let mut scene = kept_in(offering_every_mode(), mode, "PASV");
            scene.play(&[("transfer", end), ("bytes", &format!("{line}\\r\\nSTOR y\\r\\nRETR a\\r\\n"))]);
            if !answer.starts_with('5') {
                scene.play(&[("expect", "125")]);
            }
            scene.play(&[("expect", answer), ("expect", next), ("expect", next), ("stays", "no")]);
            scene.play(&[("size", "/y none"), ("size", "/x none")]);
            scene.end();
        }
    }
}
