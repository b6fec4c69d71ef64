// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image edit`.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use kiln_guest::ops::Plan;
use kiln_guest::tree::{Attrs, MOST_TEXT, Recorder, Tree};
use kiln_host::scratch::Scratch;
use kiln_host::{Cmd, Host, Tool, read};

use super::{apply, open};
use crate::args::image::edit::Edit;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::remains;

/// Edits a file of the guest.
pub(crate) fn run(ctx: &Context, args: &Edit) -> anyhow::Result<u8> {
    if args.expression.is_empty() {
        return in_editor(ctx, args);
    }
    // The operation takes absolute paths only; this verb takes them as `cat` does.
    let path = open::path(&args.path)?;
    let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
    let mut plan = Plan::default();
    for expression in &args.expression {
        apply::add(&mut plan, "edit", &path, expression)?;
    }
    apply::run(ctx, &args.target, &plan)
}

fn in_editor(ctx: &Context, args: &Edit) -> anyhow::Result<u8> {
    let none_chosen = ctx.env.visual.is_none() && ctx.env.editor.is_none();
    if none_chosen && !io::stdin().is_terminal() {
        let what = "there is no terminal for an editor";
        let hint = "say what to change: `-e 's/OLD/NEW/'`, or set VISUAL to a program that does it";
        return Err(Problem::new(Class::Usage, what).hint(hint).into());
    }
    let path = open::path(&args.path)?;
    let mut changing = open::guest_editing(ctx, &args.target)?;
    let mut tree = Recorder::new(changing.guest.tree());
    let old = tree.read(&path, MOST_TEXT)?;
    let new = edited(ctx, &path.name().map(String::from_utf8_lossy).unwrap_or_default(), &old)?;
    if new != old {
        let attrs = Attrs { mode: 0o644, uid: 0, gid: 0, mtime: open::now() };
        tree.write(&path, &mut new.as_slice(), &attrs)?;
    }
    let edits = tree.take();
    changing.finish()?;
    apply::show(ctx, &args.target, (&edits, &[]));
    Ok(0)
}

/// Returns what an editor makes of a file's contents.
fn edited(ctx: &Context, name: &str, old: &[u8]) -> anyhow::Result<Vec<u8>> {
    let failed = |source: std::io::Error| {
        Problem::new(Class::Host, "could not hand the file to an editor").because(source)
    };
    // The end of the name tells an editor what is in the file.
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let suffix: String = name.chars().filter(|c| plain(*c)).collect();
    // The guest may keep it from everybody, as its /etc/shadow: so does the host, and a kill leaves
    // it for no longer than until the next command.
    let folder = Scratch::begin(&remains::folder(ctx), "edit")?;
    let own = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path(), own).map_err(failed)?;
    let file = folder.path().join(format!("kiln-{suffix}"));
    let mut new = File::options();
    let mut new = new.write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
    new.write_all(old).map_err(failed)?;
    drop(new);
    let mut cmd = Cmd::new(Tool::SensibleEditor).arg(&file).deadline(None);
    let set = [("EDITOR", &ctx.env.editor), ("VISUAL", &ctx.env.visual), ("TERM", &ctx.env.term)];
    for (name, value) in set {
        if let Some(value) = value {
            cmd = cmd.env(name, value);
        }
    }
    if let Some(home) = &ctx.env.home {
        cmd = cmd.env("HOME", home);
    }
    let code = ctx.host.interactive(&cmd)?;
    if code != 0 {
        let what = format!("the editor ended with status {code}");
        return Err(Problem::new(Class::Tool, what).hint("nothing was changed").into());
    }
    Ok(read::bounded(&file, MOST_TEXT).map_err(failed)?)
}
