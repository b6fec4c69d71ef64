// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What packages are installed, from each package manager's own files.

mod header;
mod ndb;
mod sqlite;

use super::find::Finder;
use super::report::Package;

/// The most bytes of a database of packages.
const MOST: u64 = 512 << 20;
/// The most packages.
const MOST_PACKAGES: usize = 200_000;

type Reader = fn(&mut Finder<'_>) -> Option<Vec<Package>>;

/// Every format.
const READERS: &[(&str, Reader)] =
    &[("dpkg", dpkg), ("rpm", rpm), ("apk", apk), ("pacman", pacman)];

/// Returns the format of the packages and what is installed, sorted.
pub(super) fn of(find: &mut Finder<'_>) -> (Option<String>, Vec<Package>) {
    for (format, read) in READERS {
        if let Some(mut packages) = read(find) {
            packages.truncate(MOST_PACKAGES);
            packages.sort();
            return (Some((*format).to_owned()), packages);
        }
    }
    (None, Vec::new())
}

/// Source: dpkg(1), deb-control(5): stanzas with `Status: install ok installed`.
fn dpkg(find: &mut Finder<'_>) -> Option<Vec<Package>> {
    let status = find.bytes("/var/lib/dpkg/status", MOST);
    // Images without a package manager have a file for each package.
    let folder = "/var/lib/dpkg/status.d";
    let names = find.names(folder);
    let names = names.iter().filter(|name| !name.ends_with(".md5sums"));
    let mut texts: Vec<(bool, Vec<u8>)> = status.into_iter().map(|text| (true, text)).collect();
    for name in names {
        texts.extend(find.bytes(&format!("{folder}/{name}"), MOST).map(|text| (false, text)));
    }
    if texts.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    for (has_status, text) in &texts {
        let text = String::from_utf8_lossy(text);
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                let mut lines = stanza.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
            };
            let installed = !has_status || field("Status").ends_with(" installed");
            if installed && !field("Package").is_empty() {
                all.push(Package {
                    name: field("Package").to_owned(),
                    version: field("Version").to_owned(),
                    architecture: field("Architecture").to_owned(),
                });
            }
        }
    }
    Some(all)
}

/// Source: the wiki of Alpine, "Apk spec": letters and values, an empty line between packages.
fn apk(find: &mut Finder<'_>) -> Option<Vec<Package>> {
    let paths = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
    let bytes = paths.iter().find_map(|path| find.bytes(path, MOST))?;
    let text = String::from_utf8_lossy(&bytes);
    let package = |stanza: &str| {
        let field = |name| stanza.lines().find_map(|line| line.strip_prefix(name));
        Some(Package {
            name: field("P:")?.to_owned(),
            version: field("V:").unwrap_or("").to_owned(),
            architecture: field("A:").unwrap_or("").to_owned(),
        })
    };
    Some(text.split("\n\n").filter_map(package).collect())
}

/// Source: pacman's local database: a folder for each package, with `desc` in it.
fn pacman(find: &mut Finder<'_>) -> Option<Vec<Package>> {
    let folder = "/var/lib/pacman/local";
    if !find.is_dir(folder) {
        return None;
    }
    let mut all = Vec::new();
    for name in find.names(folder).into_iter().take(MOST_PACKAGES) {
        let Some(text) = find.text(&format!("{folder}/{name}/desc")) else { continue };
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find(|line| *line == name);
            lines.next().unwrap_or("").to_owned()
        };
        all.push(Package {
            name: field("%NAME%"),
            version: field("%VERSION%"),
            architecture: field("%ARCH%"),
        });
    }
    Some(all)
}

fn rpm(find: &mut Finder<'_>) -> Option<Vec<Package>> {
    for folder in ["/usr/lib/sysimage/rpm", "/var/lib/rpm"] {
        let sqlite = format!("{folder}/rpmdb.sqlite");
        let ndb = format!("{folder}/Packages.db");
        let blobs = if let Some(bytes) = find.bytes(&sqlite, MOST) {
            if find.head(&format!("{sqlite}-wal"), 1).is_some_and(|head| !head.is_empty()) {
                find.note(format!("`{sqlite}` has changes beside it that are not read"));
            }
            sqlite::blobs(&bytes, "Packages", MOST_PACKAGES)
        } else if let Some(bytes) = find.bytes(&ndb, MOST) {
            ndb::blobs(&bytes, MOST_PACKAGES)
        } else if find.is_file(&format!("{folder}/Packages")) {
            find.note("the database of rpm is one of Berkeley DB, which is not read".to_owned());
            return Some(Vec::new());
        } else {
            continue;
        };
        let Some(blobs) = blobs else {
            find.note(format!("the database of rpm in `{folder}` is damaged"));
            return Some(Vec::new());
        };
        return Some(blobs.iter().filter_map(|blob| header::package(blob)).collect());
    }
    None
}
