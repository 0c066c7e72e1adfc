//! What the files of a store come to. That nothing more is let in is in `quotas`.

use super::kit::{Kit, OWNER, path, request};
use crate::{Upload, UploadPlan, UploadRequest};

pub(super) fn files_and_parts_are_used(kit: &Kit<'_>) {
    kit.check_usage(0, 0);
    kit.make_directory("/dir");
    kit.check_usage(0, 0);
    kit.put("/dir/file", &[0; 1000]);
    kit.put("/empty", b"");
    kit.check_usage(1000, 2);
    kit.cut("/cut", &[0; 30]);
    kit.check_usage(1030, 3);
    let mut upload = kit.open(request("/running", UploadPlan::Replace)).expect("the upload opens");
    kit.check_usage(1030, 4);
    kit.write(&mut *upload, &[0; 200]);
    kit.check_usage(1230, 4);
    kit.commit(upload);
    kit.check_usage(1230, 4);
    // A file and the part that will replace it.
    let upload = kit.begin(request("/running", UploadPlan::Replace), &[0; 50]);
    kit.check_usage(1280, 5);
    kit.commit(upload);
    kit.check_usage(1080, 4);
    let upload = kit.begin(request("/running", UploadPlan::At(10)), &[0; 5]);
    kit.check_usage(1095, 5);
    kit.commit(upload);
    kit.check_usage(1045, 4);
    let upload = kit.begin(request("/running", UploadPlan::Append), &[0; 5]);
    kit.check_usage(1050, 4);
    kit.abandon(upload);
    kit.check_usage(1045, 4);
    kit.rename("/running", "/dir/file", true).expect("the file is renamed");
    kit.check_usage(45, 3);
    kit.rename("/dir", "/moved", true).expect("the directory is renamed");
    kit.check_usage(45, 3);
    let upload = kit.begin(request("/cut", UploadPlan::At(20)), b"");
    kit.check_usage(35, 3);
    kit.commit(upload);
    kit.check_usage(35, 3);
    kit.remove("/moved/file");
    kit.check_usage(20, 2);
    kit.cut("/moved/part", &[0; 7]);
    kit.check_usage(27, 3);
    kit.wait(kit.backend.remove_directory(&path("/moved"))).expect("parts are no content");
    kit.check_usage(20, 2);
}

/// Numbers that look like chance and are the same in every run (splitmix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % limit
    }

    fn name(&mut self) -> String {
        let directory = ["/a", "/a/b", "/c"][self.below(3) as usize];
        format!("{directory}/{}", self.below(4))
    }
}

/// Does something, which need not succeed.
fn act(kit: &Kit<'_>, chance: &mut Chance, uploads: &mut Vec<Box<dyn Upload>>) {
    let chosen = chance.below(uploads.len().max(1) as u64) as usize;
    match chance.below(14) {
        0..=2 => {
            let plan = match chance.below(5) {
                0 => UploadPlan::Unique,
                1 => UploadPlan::Append,
                2 => UploadPlan::At(chance.below(3000)),
                _ => UploadPlan::Replace,
            };
            let overwrite = chance.below(4) > 0;
            let owner = [OWNER, "berta"][chance.below(2) as usize].to_owned();
            let request = UploadRequest { overwrite, owner, ..request(chance.name(), plan) };
            uploads.extend(kit.open(request));
        }
        3..=6 if !uploads.is_empty() => {
            let octets = vec![0; chance.below(2000) as usize];
            let _ = kit.wait(uploads[chosen].write(octets));
        }
        7 if !uploads.is_empty() => drop(kit.wait(uploads.swap_remove(chosen).commit())),
        8 if !uploads.is_empty() => {
            let upload = uploads.swap_remove(chosen);
            match chance.below(4) {
                0 => drop(upload),
                1 => drop(upload.commit()),
                2 => drop(kit.wait(upload.discard())),
                _ => drop(kit.wait(upload.abandon())),
            }
        }
        9 => drop(kit.rename(&chance.name(), &chance.name(), chance.below(3) > 0)),
        10 => drop(kit.wait(kit.backend.remove_file(&path(chance.name())))),
        11 => drop(kit.rename("/c", "/a/b/c", false).or_else(|_| kit.rename("/a/b/c", "/c", false))),
        12 => {
            let name = path(chance.name());
            let _ = kit.wait(kit.backend.make_directory(&name, None));
        }
        _ => {
            let name = path(chance.name());
            let _ = kit.wait(kit.backend.remove_directory(&name));
        }
    }
}

pub(super) fn usage_follows_every_operation(kit: &Kit<'_>) {
    for directory in ["/a", "/a/b", "/c"] {
        kit.make_directory(directory);
    }
    let mut chance = Chance(1);
    let (mut uploads, mut most) = (Vec::new(), 0);
    for round in 0..3000 {
        act(kit, &mut chance, &mut uploads);
        // Counted less often than changed: what one count has put right must not hide what was wrong before.
        if round % 7 == 0 {
            most = most.max(kit.usage().bytes);
        }
        if uploads.len() > 6 {
            uploads.remove(0);
        }
    }
    assert!(most > 10_000, "next to nothing has happened: {most}");
    drop(uploads);
    kit.usage();
    // When all names are gone, and with their directories the parts, nothing is left.
    for directory in ["/a/b/c", "/a/b", "/a", "/c"] {
        let there = kit.stat(directory).is_ok();
        for entry in if there { kit.list(directory) } else { Vec::new() } {
            let name = path(directory).join(&entry.name).expect("the kit's own names are valid");
            if kit.wait(kit.backend.remove_file(&name)).is_err() {
                kit.wait(kit.backend.remove_directory(&name)).expect("an empty directory is removed");
            }
        }
        if there {
            kit.wait(kit.backend.remove_directory(&path(directory))).expect("it is empty");
        }
    }
    kit.check_usage(0, 0);
}

pub(super) fn uploads_that_run_at_the_first_count_are_in_it(kit: &Kit<'_>) {
    kit.put("/log", &[0; 100]);
    kit.put("/old", &[0; 40]);
    kit.cut("/part", &[0; 30]);
    let mut uploads: Vec<_> = [
        request("/new", UploadPlan::Replace),
        request("/log", UploadPlan::Append),
        request("/old", UploadPlan::Replace),
        request("/part", UploadPlan::At(20)),
        request("/wish", UploadPlan::Unique),
    ]
    .map(|request| kit.begin(request, &[1; 10]))
    .into();
    kit.check_usage(110 + 40 + 30 + 3 * 10, 6);
    for upload in &mut uploads {
        kit.write(&mut **upload, &[2; 5]);
    }
    kit.check_usage(115 + 40 + 35 + 3 * 15, 6);
    for upload in uploads {
        kit.commit(upload);
    }
    kit.check_usage(115 + 15 + 35 + 2 * 15, 5);
}
