// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The step that makes a tree of Debian's packages.

use std::fs;
use std::sync::mpsc::channel;
use std::thread;

use kiln_host::run::OnLine;
use kiln_host::tools::mmdebstrap;
use kiln_spec::recipe::{Base, Recipe};
use kiln_spec::{Arch, Bytes};

use super::lock::{self, Told};
use super::perform::Means;
use super::plan::Step;
use crate::BuildError;
use crate::base::debian::{self, Keyring, TreePlaces, Watch};
use crate::scratch::Scratch;
use crate::stage::{Event, Reporter, Stage};
use crate::workspace::Workspace;

/// How many bytes lie between two reports.
const STEP: u64 = 8 << 20;
/// Files for the scripts: what apt is to take, and what of it must be there.
const PINS: &str = "pins";
const LOCKED: &str = "locked";

/// Has mmdebstrap make a tree, which goes straight into the layer.
///
/// What apt tells of packages is told if `told` is there, and only what the step's lock says is
/// taken.
pub(super) fn make(
    (recipe, keyring): &(Recipe, Option<Keyring>),
    (step, arch): (&Step, Arch),
    (workspace, means): (&mut Workspace<'_>, &Means<'_>),
    told: Option<&mut Told>,
) -> Result<(), BuildError> {
    let Means { host, reporter, .. } = *means;
    let scratch = Scratch::begin(means.temp, host)?;
    let put = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).map_err(|e| BuildError::io("write", path, e))
    };
    debian::SCRIPTS.iter().try_for_each(|(name, text)| put(name, text))?;
    if let Some(keyring) = keyring {
        let path = scratch.path().join(keyring.name());
        fs::write(&path, &keyring.bytes).map_err(|e| BuildError::io("write", path, e))?;
    }
    let places = TreePlaces { scripts: scratch.path(), keyring: keyring.as_ref() };
    let mut tree = debian::tree(recipe, (arch, step.epoch), places);
    if told.is_some() {
        tree.env.push(("KILN_TELL".into(), "yes".into()));
    }
    if let Some(locked) = step.lock.as_ref().filter(|_| told.is_some()) {
        put(PINS, &lock::pins(&locked.packages))?;
        put(LOCKED, &lock::lines(&locked.packages))?;
        debian::lock(&mut tree, scratch.path(), [PINS, LOCKED]);
    }
    let cmd = mmdebstrap::tar(&tree, scratch.path());
    reporter.tell(Event::Note(cmd.to_string()));
    let (unpacked, ended, watch) = thread::scope(|scope| {
        let (to_watch, lines) = channel::<String>();
        let watching = scope.spawn(move || {
            let (mut watch, mut told) = (Watch::default(), told);
            for line in lines {
                if told.as_mut().is_some_and(|told| told.line(&line)) {
                    continue;
                }
                watch.line(&line).into_iter().for_each(|event| reporter.tell(event));
                reporter.tell(Event::Note(line));
            }
            watch
        });
        // Nobody listens when the build is being given up.
        let on_line: OnLine = Box::new(move |line| to_watch.send(line.to_owned()).unwrap_or(()));
        let (unpacked, ended) = match host.pipe(&cmd, on_line) {
            Err(error) => (None, Err(error)),
            Ok(pipe) => {
                let mut counted = Counted { from: pipe, done: 0, told: 0, reporter };
                let unpacked = workspace.unpack(&mut counted, "/");
                // The tool knows why a stream breaks off, if it failed.
                (Some(unpacked), counted.from.finish())
            }
        };
        let watch = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (unpacked, ended, watch)
    });
    if let Err(source) = ended {
        let suite = match &recipe.base {
            Base::Packages(base) => base.release.codename(),
            _ => "debian",
        };
        let (stage, cause) = (reporter.current(), watch.cause_of_failure());
        return Err(BuildError::of_packages(source, stage, cause, suite));
    }
    unpacked.unwrap_or(Ok(())).map_err(BuildError::from)
}

/// A stream of which it is told how much has come.
struct Counted<'a, R> {
    from: R,
    done: u64,
    told: u64,
    reporter: &'a Reporter<'a>,
}

impl<R: std::io::Read> std::io::Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(buf)?;
        self.done += u64::try_from(n).unwrap_or(0);
        if self.done >= self.told + STEP {
            self.told = self.done;
            let done = Bytes(self.done);
            self.reporter.tell(Event::Bytes { stage: Stage::Unpack, done, of: None });
        }
        Ok(n)
    }
}
