// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The store on a real file system: what is visible when, and what a killed process leaves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kiln_build::digest;
use kiln_build::store::{Image, Mismatch, Store, StoreError};
use kiln_spec::image::{DiskFormat, Firmware, Made, Manifest, Os};
use kiln_spec::{Arch, Bytes, Digest};

fn manifest(name: &str, bytes: &[u8], recipe: &str) -> Manifest {
    Manifest {
        format: 1,
        name: name.into(),
        arch: Arch::Amd64,
        os: Os { id: "debian".into(), version: "12".into(), pretty_name: "Debian 12".into() },
        kernel: "6.1.0".into(),
        firmware: vec![Firmware::Bios],
        user: "debian".into(),
        min_memory: Bytes::from_mib(512),
        virtual_size: Bytes::from_gib(2),
        file_size: Bytes(bytes.len() as u64),
        disk_format: DiskFormat::Qcow2,
        digest: digest::of_bytes(bytes),
        recipe_digest: Some(digest::of_bytes(recipe.as_bytes())),
        created: "2026-11-21T00:00:00Z".into(),
        made: Made::Recipe { packages: 1 },
        properties: BTreeMap::new(),
        tools: BTreeMap::new(),
    }
}

fn add(store: &Store, name: &str, bytes: &[u8]) -> (Image, Option<Digest>) {
    let work = store.work().unwrap();
    let disk = work.path().join("disk");
    fs::write(&disk, bytes).unwrap();
    let added = store.add(&work, &disk, &manifest(name, bytes, name)).unwrap();
    (added.image, added.replaced)
}

/// Every file and folder below `folder`, sorted.
fn tree(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            all.push(path.strip_prefix(folder).unwrap().display().to_string());
            if path.is_dir() {
                todo.push(path);
            }
        }
    }
    all.sort();
    all
}

#[test]
fn an_image_is_found_by_name_by_digest_and_by_recipe() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (image, replaced) = add(&store, "web", b"one");
    assert_eq!(replaced, None);
    assert_eq!(image.names, ["web"]);
    assert_eq!(image.manifest, manifest("web", b"one", "web"));
    assert_eq!(fs::read(&image.path).unwrap(), b"one");
    let hex = image.manifest.digest.hex().to_owned();
    for wanted in ["web", &hex, &hex[..6], &format!("sha256:{}", &hex[..12])] {
        assert_eq!(store.find(wanted).unwrap(), image, "{wanted}");
    }
    let recipe = image.manifest.recipe_digest.clone().unwrap();
    assert_eq!(store.find_by_recipe(&recipe).unwrap(), Some(image.clone()));
    assert_eq!(store.find_by_recipe(&digest::of_bytes(b"another")).unwrap(), None);
    assert_eq!(store.list().unwrap(), [image]);
}

#[test]
fn files_are_readable_by_all_and_the_disk_is_writable_by_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (image, _) = add(&store, "web", b"one");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let home = image.path.parent().unwrap();
    assert_eq!(mode(&image.path), 0o444);
    assert_eq!(mode(&home.join("manifest.json")), 0o644);
    assert_eq!(mode(&dir.path().join("images/names/web")), 0o644);
    assert_eq!(mode(home), 0o755);
}

#[test]
fn a_name_that_is_taken_over_leaves_the_other_image_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (old, _) = add(&store, "web", b"one");
    let (new, replaced) = add(&store, "web", b"two");
    assert_eq!(replaced, Some(old.manifest.digest.clone()));
    assert_eq!(store.find("web").unwrap(), new);
    let old = Image { names: Vec::new(), ..old };
    assert_eq!(store.list().unwrap(), [new, old.clone()]);

    store.name(&old, &"old".parse().unwrap()).unwrap();
    assert_eq!(store.find("old").unwrap().manifest, old.manifest);
}

#[test]
fn the_same_file_twice_is_one_image_with_two_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    add(&store, "web", b"one");
    let (image, _) = add(&store, "web2", b"one");
    assert_eq!(image.names, ["web", "web2"]);
    assert_eq!(image.manifest.name, "web");
    assert_eq!(store.list().unwrap().len(), 1);

    let removed = store.remove("web").unwrap();
    assert_eq!((removed.names, removed.image), (vec!["web".to_owned()], None));
    let removed = store.remove("web2").unwrap();
    assert_eq!(removed.image, Some((image.manifest.digest, Bytes(3))));
    assert_eq!(store.list().unwrap(), []);
    let left = tree(&dir.path().join("images"));
    assert_eq!(left, ["names", "sha256"]);
    assert_eq!(tree(&dir.path().join("tmp")), [""; 0]);
}

#[test]
fn removed_by_its_digest_an_image_loses_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (image, _) = add(&store, "web", b"one");
    add(&store, "web2", b"one");
    let removed = store.remove(&image.manifest.digest.to_string()).unwrap();
    assert_eq!(removed.names, ["web", "web2"]);
    assert_eq!(tree(&dir.path().join("images")), ["names", "sha256"]);
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    add(&store, "debian-12", b"one");
    let error = store.find("debain-12").unwrap_err();
    assert_eq!(error.to_string(), "there is no image `debain-12` in the store");
    assert_eq!(error.hint().unwrap(), "did you mean `debian-12`?");
    let error = store.remove("nothing-like-it").unwrap_err();
    assert_eq!(error.hint().unwrap(), "`kiln image list` shows the images");
    // Names are never paths.
    for wanted in ["../names/debian-12", "/etc/passwd", "", "."] {
        assert!(matches!(store.find(wanted), Err(StoreError::NotFound { .. })), "{wanted}");
    }
}

#[test]
fn a_prefix_of_two_digests_is_ambiguous() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (image, _) = add(&store, "web", b"one");
    // Another image whose digest differs in the last digit only; made by hand.
    let hex = image.manifest.digest.hex();
    let last = if hex.ends_with('0') { '1' } else { '0' };
    let twin = format!("{}{last}", &hex[..63]);
    fs::create_dir(dir.path().join("images/sha256").join(&twin)).unwrap();
    let error = store.find(&hex[..10]).unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` could be any of 2 images", &hex[..10]));
    assert_eq!(store.find(hex).unwrap(), image);
}

#[test]
fn damage_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (image, _) = add(&store, "web", b"one");
    assert_eq!(store.verify(&image, &mut |_| true).unwrap(), Ok(()));

    fs::set_permissions(&image.path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&image.path, b"two").unwrap();
    let found = digest::of_bytes(b"two");
    assert_eq!(store.verify(&image, &mut |_| true).unwrap(), Err(Mismatch::Content { found }));

    fs::write(&image.path, b"on").unwrap();
    let mismatch = Mismatch::Length { found: Bytes(2), expected: Bytes(3) };
    assert_eq!(store.verify(&image, &mut |_| true).unwrap(), Err(mismatch));
    assert_eq!(
        store.find("web").unwrap_err().to_string(),
        format!(
            "the image `{}` is damaged: the file has 2 B, and the manifest says 3 B",
            image.path.display()
        )
    );
    // A damaged image does not answer a recipe: it is built again.
    let recipe = image.manifest.recipe_digest.unwrap();
    assert_eq!(store.find_by_recipe(&recipe).unwrap(), None);
}

#[test]
fn a_manifest_of_a_later_kiln_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (image, _) = add(&store, "web", b"one");
    let path = image.path.with_file_name("manifest.json");
    let later = serde_json::to_vec(&Manifest { format: 2, ..image.manifest }).unwrap();
    fs::write(&path, later).unwrap();
    assert_eq!(
        store.list().unwrap_err().to_string(),
        format!("`{}` has format 2, which a later kiln wrote", path.display())
    );
}

#[test]
fn what_is_under_way_is_not_visible_and_goes_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let work = store.work().unwrap();
    fs::write(work.path().join("disk"), b"half").unwrap();
    assert_eq!(store.list().unwrap(), []);
    // Another process opens the store: what lives stays.
    let again = Store::open(dir.path()).unwrap();
    assert!(work.path().join("disk").exists());
    let path = work.path().to_owned();
    drop(work);
    assert!(!path.exists());
    assert_eq!(again.list().unwrap(), []);
}

#[test]
fn remains_of_a_killed_process_are_removed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap();
    // What kill -9 leaves: a folder with a lock file that nobody holds, or without one.
    let tmp = dir.path().join("tmp");
    fs::create_dir_all(tmp.join("work-a/image")).unwrap();
    fs::write(tmp.join("work-a/lock"), b"").unwrap();
    fs::write(tmp.join("work-a/image/disk.qcow2"), b"half").unwrap();
    fs::create_dir(tmp.join("work-b")).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(tree(&tmp), [""; 0]);
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn of_two_builds_of_one_recipe_one_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let recipe = digest::of_bytes(b"recipe");
    let held = store.lock_recipe(&recipe, &mut || panic!("nobody else is there")).unwrap();
    let waiting = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let told = &mut || {
                waiting.fetch_add(1, Ordering::SeqCst);
            };
            store.lock_recipe(&recipe, told).map(drop)
        });
        let began = Instant::now();
        while waiting.load(Ordering::SeqCst) == 0 && began.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert!(!other.is_finished());
        drop(held);
        other.join().unwrap().unwrap();
    });
    assert_eq!(waiting.load(Ordering::SeqCst), 1);
    // Another recipe never waits.
    drop(store.lock_recipe(&digest::of_bytes(b"other"), &mut || panic!("nobody is there")));
}

#[test]
fn many_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..8_u8 {
            let path = dir.path();
            scope.spawn(move || {
                let store = Store::open(path).unwrap();
                add(&store, &format!("image-{n}"), &[n]);
                add(&store, "shared", &[n]);
                store.list().unwrap();
            });
        }
    });
    let store = Store::open(dir.path()).unwrap();
    let images = store.list().unwrap();
    assert_eq!(images.len(), 8);
    assert_eq!(images.iter().filter(|i| i.names.iter().any(|n| n == "shared")).count(), 1);
    assert!((0..8).all(|n| store.find(&format!("image-{n}")).is_ok()));
    assert_eq!(tree(&dir.path().join("tmp")), [""; 0]);
}
