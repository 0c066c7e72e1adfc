//! What clients say that cannot run here: each file of `replays/` against a server of its own.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_interop::{Server, play, recorded};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replays")
}

#[track_caller]
fn check(name: &str) {
    let text = fs::read_to_string(folder().join(name)).expect("the replay is there");
    recorded("replays", name.trim_end_matches(".txt"), "IPv4", || {
        // What they do where TLS is refused: behind 234 nobody speaks lines.
        let server = Server::start_with(&["env", "LONGSHORE_TLS_OFFER=false"], &[]);
        play(&server, name, &text);
        server.stop();
    });
}

macro_rules! replays {
    ($($test:ident $file:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check($file);
            }
        )*

        /// Every file of the folder.
        const FILES: &[&str] = &[$($file),*];
    };
}

replays! {
    busybox_ftpput "busybox-ftpput.txt",
    busybox_ftpput_old "busybox-ftpput-old.txt",
    camera_closes_control_first "camera-closes-control-first.txt",
    camera_closes_data_first "camera-closes-data-first.txt",
    chrome "chrome.txt",
    cisco_ios "cisco-ios.txt",
    cisco_ios_blast "cisco-ios-blast.txt",
    dahua_camera "dahua-camera.txt",
    dbi "dbi.txt",
    filezilla "filezilla.txt",
    lexmark_printer "lexmark-printer.txt",
    lower_case_device "lower-case-device.txt",
    motioneye "motioneye.txt",
    office_scanner "office-scanner.txt",
    reolink_camera "reolink-camera.txt",
    type_forms "type-forms.txt",
    vscode_sftp "vscode-sftp.txt",
    windows_explorer "windows-explorer.txt",
    winscp "winscp.txt",
}

#[test]
fn every_replay_is_played_and_says_where_it_is_known_from() {
    let entries = fs::read_dir(folder()).expect("the folder is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut played = FILES.to_vec();
    played.sort_unstable();
    assert_eq!(names, played);
    for name in names {
        let text = fs::read_to_string(folder().join(&name)).expect("it is there");
        let head = text.lines().take_while(|line| line.starts_with('#'));
        // An issue, a file of somebody's sources, or another replay that names either.
        let names_a_source = |word: &str| {
            let word = word.trim_end_matches([',', '.', ':', ')']);
            word.contains('/') && (word.contains('#') || word.ends_with(".c") || word.ends_with(".cpp"))
                || word.ends_with(".txt")
        };
        let is_sourced = head.flat_map(|line| line.split(' ')).any(names_a_source);
        assert!(is_sourced, "{name} does not say where it is known from");
    }
}
