// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image ls`.

use std::time::{Duration, UNIX_EPOCH};

use kiln_guest::tree::{self, GuestPath, Kind, Stat, Tree, TreeError};
use kiln_spec::time::rfc3339;
use serde_json::{Value, json};

use super::{names, open};
use crate::args::image::ls::Ls;
use crate::context::Context;
use crate::ui::Table;

/// One line of the list.
struct Line {
    path: GuestPath,
    /// As it is shown: a name, or with `-R` a path.
    shown: String,
    stat: Stat,
    target: Option<Vec<u8>>,
}

/// Lists a folder of the guest, or a file.
pub(crate) fn run(ctx: &Context, args: &Ls) -> anyhow::Result<u8> {
    let top = open::path(&args.path)?;
    let mut guest = open::guest_reading(ctx, &args.source)?;
    let lines = lines(guest.tree(), &top, args)?;
    if ctx.ui.json() {
        let all: Vec<Value> = lines.iter().map(as_json).collect();
        let mut result = names::path(top.as_bytes());
        result["entries"] = json!(all);
        ctx.ui.result(&result);
    } else if args.long {
        let mut table = Table::new(&["MODE", "UID", "GID", "SIZE", "CHANGED", "NAME"]);
        lines.iter().for_each(|line| table.row(row(line)));
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    } else {
        lines.iter().for_each(|line| ctx.ui.out(&line.shown));
    }
    Ok(0)
}

fn lines(tree: &mut dyn Tree, top: &GuestPath, args: &Ls) -> Result<Vec<Line>, TreeError> {
    let mut stat = tree.stat(top)?;
    if args.long && stat.as_ref().is_none_or(|stat| stat.kind != Kind::Directory) {
        // The link itself, and where it leads, as ls(1) has it.
        stat = tree.lstat(top)?;
    }
    let Some(stat) = stat else {
        return Err(TreeError::NotFound { path: top.clone() });
    };
    if stat.kind != Kind::Directory {
        return Ok(vec![line(tree, top.clone(), top.to_string(), stat)?]);
    }
    let top = tree::walk::real_path(tree, top, true)?;
    if args.recursive {
        let below = tree::find_all(tree, &top)?;
        return below
            .into_iter()
            .filter(|found| found.path != top)
            .map(|found| line(tree, found.path.clone(), found.path.to_string(), found.stat))
            .collect();
    }
    let mut lines = Vec::new();
    for entry in tree.list(&top)? {
        let path = top.join(&entry.name);
        // Shown as a path is, so that nothing in a name reaches the terminal.
        let shown = GuestPath::root().join(&entry.name).to_string()[1..].to_owned();
        if let Some(stat) = tree.lstat(&path)? {
            lines.push(line(tree, path, shown, stat)?);
        }
    }
    Ok(lines)
}

fn line(
    tree: &mut dyn Tree,
    path: GuestPath,
    shown: String,
    stat: Stat,
) -> Result<Line, TreeError> {
    let target = match stat.kind {
        Kind::Symlink => Some(tree.read_link(&path)?),
        _ => None,
    };
    Ok(Line { path, shown, stat, target })
}

fn row(line: &Line) -> Vec<String> {
    let stat = &line.stat;
    let size = match stat.kind {
        Kind::Char | Kind::Block => format!("{}, {}", stat.device.0, stat.device.1),
        _ => stat.size.to_string(),
    };
    let escaped = |target: &Vec<u8>| String::from_utf8_lossy(target).escape_debug().to_string();
    let arrow = line.target.iter().map(|target| format!(" -> {}", escaped(target)));
    vec![
        mode(stat),
        stat.attrs.uid.to_string(),
        stat.attrs.gid.to_string(),
        size,
        changed(stat),
        std::iter::once(line.shown.clone()).chain(arrow).collect(),
    ]
}

/// Returns kind and permissions as ls(1) writes them: `-rwsr-xr-x`.
fn mode(stat: &Stat) -> String {
    let kind = match stat.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Char => 'c',
        Kind::Block => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    };
    let bits = stat.attrs.mode;
    let special = [(0o4000, 's'), (0o2000, 's'), (0o1000, 't')];
    let mut text = String::from(kind);
    for (n, (extra, letter)) in special.into_iter().enumerate() {
        let three = bits >> (6 - 3 * n);
        text.push(if three & 4 != 0 { 'r' } else { '-' });
        text.push(if three & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & extra != 0, three & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn changed(stat: &Stat) -> String {
    let seconds = u64::try_from(stat.attrs.mtime.seconds).unwrap_or(0);
    rfc3339(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn as_json(line: &Line) -> Value {
    let stat = &line.stat;
    let mut value = names::path(line.path.as_bytes());
    value["kind"] = json!(stat.kind.name());
    value["mode"] = json!(format!("{:04o}", stat.attrs.mode));
    value["uid"] = json!(stat.attrs.uid);
    value["gid"] = json!(stat.attrs.gid);
    value["size"] = json!(stat.size);
    value["links"] = json!(stat.links);
    value["changed"] = json!(changed(stat));
    match &line.target {
        Some(target) => names::put(&mut value, "target", target),
        None => value["target"] = Value::Null,
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_guest::tree::Attrs;

    #[test]
    fn modes_are_written_as_ls_does() {
        for (kind, bits, shown) in [
            (Kind::File, 0o644, "-rw-r--r--"),
            (Kind::File, 0o4755, "-rwsr-xr-x"),
            (Kind::File, 0o6640, "-rwSr-S---"),
            (Kind::Directory, 0o1777, "drwxrwxrwt"),
            (Kind::Directory, 0o1776, "drwxrwxrwT"),
            (Kind::Symlink, 0o777, "lrwxrwxrwx"),
        ] {
            let attrs = Attrs { mode: bits, ..Attrs::default() };
            let stat = Stat { kind, attrs, size: 0, links: 1, device: (0, 0), identity: (0, 0) };
            assert_eq!(mode(&stat), shown);
        }
    }
}
