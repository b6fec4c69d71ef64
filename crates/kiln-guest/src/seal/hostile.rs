// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Seals of trees that mean harm: where operations look there are links out of the way, loops,
//! directories instead of files, and contents that no program wrote.

use kiln_testkit::Rng;

use super::{OPERATIONS, Options, SealContext, SealReport, Selection, TreeAlone, seal};
use crate::tree::memory::MemoryTree;
use crate::tree::{Attrs, GuestPath, Kind, New, Time, Tree};

/// What must be as it was whatever the tree looks like: no path of an operation names it.
const PRECIOUS: [&str; 3] = ["/precious/file", "/precious/dir/x", "/usr/lib/os-release"];
/// Where links lead.
const TARGETS: [&str; 8] = [
    "/precious",
    "/precious/dir",
    "../../../../precious",
    "/",
    "..",
    "/self",
    "/nowhere/x",
    "/precious/file",
];
/// Pieces of contents.
const PIECES: [&str; 16] = [
    "network: {ethernets: {e: {match: {macaddress: x}, set-name: y}}}\n",
    "{\"data\":{\"auth\":{\"users\":[1]}}}",
    "root:x:0:0::/:/bin/sh\n",
    "a:x:1000:1000::/precious:/x\n",
    "b:x:1001:1::../../precious/dir:/x\n",
    "HWADDR=1\n",
    "[Match]\nMACAddress=1\n",
    "ID=fedora\n",
    "ID=debian\n",
    ":::::::\n",
    "\n\n",
    "\u{0}",
    "&a [*a]",
    "UID_MIN 0\n",
    "hwaddress ether 1\n",
    "c:x:99999999999:1::/x:/y\n",
];

/// Makes one of the paths that an operation is about, with something in the place of each `*`.
fn place(rng: &mut Rng) -> String {
    let operation = OPERATIONS[rng.below(OPERATIONS.len())];
    let fallback = ["/etc/passwd"];
    let paths = if operation.paths.is_empty() { &fallback[..] } else { operation.paths };
    let names = ["a", "..a", "x y", "\u{e9}", "*", "[", "instance", "b.yaml"];
    let mut path = String::from(*rng.pick(paths));
    while path.contains('*') {
        path = path.replacen('*', "\u{1}", 1).replace('\u{1}', rng.pick(&names).trim_matches('*'));
    }
    path
}

/// Puts something at a path; what cannot be made there is left out.
fn put(tree: &mut MemoryTree, rng: &mut Rng, path: &str) {
    let path = GuestPath::new(path).unwrap();
    let attrs = Attrs { mode: 0o644, ..Attrs::default() };
    let mut at = GuestPath::root();
    for name in path.parent().unwrap_or_else(GuestPath::root).names() {
        at = at.join(name);
        let new = match rng.below(12) {
            0 => New::Symlink(rng.pick(&TARGETS).as_bytes().to_vec()),
            _ => New::Directory,
        };
        tree.make(&at, &new, &attrs).ok();
    }
    // Nothing is made through a link in what must stay.
    let real = crate::tree::walk::real_path(tree, &path, true);
    if !real
        .is_ok_and(|real| !real.is_within(&"/precious".into()) && !real.is_within(&"/usr".into()))
    {
        return;
    }
    match rng.below(6) {
        0 => tree.make(&path, &New::Directory, &attrs).ok(),
        1 => tree.make(&path, &New::Symlink(rng.pick(&TARGETS).as_bytes().to_vec()), &attrs).ok(),
        2 => tree.make(&path, &New::Fifo, &attrs).ok(),
        3 => tree.write(&path, &mut &rng.bytes(200)[..], &attrs).ok(),
        _ => {
            let text: String = (0..rng.below(5)).map(|_| *rng.pick(&PIECES)).collect();
            tree.write(&path, &mut text.as_bytes(), &attrs).ok()
        }
    };
}

fn sealed(tree: &mut MemoryTree) -> SealReport {
    let mut selection = Selection::default();
    selection.add_list("all,-flag-reconfiguration").unwrap();
    let mut ctx = SealContext {
        subject: &mut TreeAlone(tree),
        now: Time { seconds: 1, nanos: 0 },
        options: &Options::default(),
        customize: None,
        script: None,
    };
    seal(&selection, &mut ctx).unwrap()
}

#[test]
fn a_hostile_tree_ends_in_a_seal_that_touched_nothing_else() {
    let mut rng = Rng::new(3);
    for round in 0..150 {
        let mut tree = MemoryTree::of(&PRECIOUS);
        tree.add("/self -> /self");
        for _ in 0..rng.below(60) {
            let path = place(&mut rng);
            put(&mut tree, &mut rng, &path);
        }
        sealed(&mut tree);
        for path in PRECIOUS {
            let stat = tree.lstat(&path.into()).unwrap();
            // Homes are removed where the guest says they are: that is its own affair.
            let home = path.starts_with("/precious/dir") && stat.is_none();
            assert!(
                home || stat.is_some_and(|s| s.kind == Kind::File && s.size == 1),
                "{round} {path}"
            );
        }
        let again = sealed(&mut tree);
        let edits: Vec<_> = again.done.iter().filter(|done| !done.edits.list.is_empty()).collect();
        assert!(edits.is_empty(), "{round}: {edits:?}");
    }
}
