// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hostile images and archives: each ends in a right answer or a clear error, within 5 s of the processor and
//! 512 MiB, without a panic, and without a look at a file of the host that it names.
//!
//! | module | what |
//! |---|---|
//! | `seeds` | valid inputs |
//! | `cases` | changes of them on purpose |
//! | `targets`, `trees` | the parsers, used as a verb would use them |
//! | `findings.txt` | what random changes found once |
//!
//! `make fuzz FUZZ_SECONDS=600` looks for more, that long for each target.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cases;
mod seeds;
mod targets;
mod trees;

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use kiln_testkit::fuzz::{
    Case, Verdict, Worker, corpus as corpus_of, failure, fuzz_all, say, serve,
};
use kiln_testkit::need_program;
use rustix::fs::inotify;

/// Random cases of each target, with the numbers from 0 on.
const RANDOM: u64 = 40;
/// The least that the corpus has.
const LEAST: usize = 500;

/// Not a test: what the child processes of the tests below run.
#[test]
fn child() {
    serve(targets::ALL);
}

/// Returns whether the programs are there that make the seeds.
fn can_make_seeds() -> bool {
    let programs = ["qemu-img", "mke2fs", "mkfs.vfat", "mcopy", "genisoimage", "sfdisk"];
    programs.into_iter().all(need_program)
}

#[test]
fn every_hostile_case_ends_well() {
    if !can_make_seeds() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let host = seeds::canaries(folder.path());
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let events = inotify::WatchFlags::OPEN | inotify::WatchFlags::MODIFY;
    inotify::add_watch(&watch, &host, events).unwrap();
    let before = std::fs::read(host.join("secret")).unwrap();
    // That was the one time that it may be opened.
    let mut buf = [std::mem::MaybeUninit::uninit(); 4096];
    while inotify::Reader::new(&watch, &mut buf).next().is_ok() {}
    let all = corpus(folder.path(), &host);
    assert!(all.len() >= LEAST, "{} cases", all.len());
    let start = Instant::now();
    let failures = walked(folder.path(), &all);
    say(&format!("{} hostile cases in {:?}", all.len(), start.elapsed()));
    assert!(failures.is_empty(), "{} cases: {}", failures.len(), failures.join("\n"));
    let mut reader = inotify::Reader::new(&watch, &mut buf);
    let opened = reader.next();
    assert!(opened.is_err(), "a case opened a file of the host: {opened:?}");
    assert!(std::fs::read(host.join("secret")).unwrap() == before);
}

/// All cases: the seeds, changes on purpose, what was found before, and some at random.
fn corpus(folder: &Path, host: &Path) -> Vec<Case> {
    let maker = Worker::start("child", folder);
    corpus_of(&maker, targets::ALL, cases::all(host), include_str!("findings.txt"), RANDOM)
}

/// Runs the cases in two children; returns what failed.
fn walked(folder: &Path, all: &[Case]) -> Vec<String> {
    let failures = Mutex::new(Vec::new());
    let next = Mutex::new(all.iter());
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (failures, next) = (&failures, &next);
            scope.spawn(move || {
                let own = folder.join(format!("worker-{number}"));
                shared_seeds(folder, &own);
                let mut worker = Worker::start("child", &own);
                loop {
                    let Some(case) = next.lock().unwrap().next() else { break };
                    let how = match worker.run(case) {
                        Verdict::Failed(how) => how,
                        Verdict::Refused(why) if must_be_right(case) => why,
                        _ => continue,
                    };
                    failures.lock().unwrap().push(failure(case, &how));
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Whether nothing is wrong with it: a seed as it is, of a kind that is read in process.
fn must_be_right(case: &Case) -> bool {
    let refused = matches!(case.target.as_str(), "probe" | "backing");
    case.edits.is_empty() && !refused
}

/// Makes a folder with the seeds of another.
fn shared_seeds(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("seed-") {
            std::fs::hard_link(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Not run by `make test` but by `make fuzz`: random changes for `KILN_FUZZ_SECONDS` for each target, or only for
/// `KILN_FUZZ_TARGET`.
#[test]
fn fuzz() {
    fuzz_all(targets::ALL, "findings.txt");
}
