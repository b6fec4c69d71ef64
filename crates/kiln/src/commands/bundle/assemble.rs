// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle assemble`, and bundles that are launched.

use std::path::Path;
use std::time::Instant;

use kiln_build::bundle::{Assembly, BundleFile, Disk, InStore, is_bundle};
use kiln_disk::assemble::{NewTable, OutputFormat, Progress};
use kiln_disk::convert::TargetFormat;
use kiln_spec::image;
use kiln_spec::recipe::ImageName;
use kiln_spec::{Bytes, Digest};
use serde_json::json;

use super::remote::{fetched, is_address, no_server};
use crate::args::bundle::assemble::{Assemble, Firmware, Format, Table};
use crate::args::bundle::trust::Trust;
use crate::context::{Context, now};
use crate::error::{Class, Problem};
use crate::ui::Task;

/// How many bytes lie between two reports.
const STEP: u64 = 8 << 20;

/// Makes a disk of a bundle.
pub(crate) fn run(ctx: &Context, args: &Assemble) -> anyhow::Result<u8> {
    let began = Instant::now();
    let bundle = super::find(ctx, &args.bundle, &args.trust)?;
    let disk = disk(args);
    let Some(output) = &args.output else {
        let stored = into_store(ctx, &bundle, args.name.as_ref(), &disk)?;
        told_of_store(ctx, &stored, began)?;
        return Ok(0);
    };
    if output.symlink_metadata().is_ok() {
        let what = format!("`{}` is there already", output.display());
        return Err(Problem::new(Class::Object, what).hint("remove it, or name another").into());
    }
    let format = format(args, output)?;
    let task = ctx.ui.task(&bundle.name());
    let assembly = Assembly { sync: args.sync, ..assembly(ctx, &disk) };
    let (made, size) = assembly.to_file(&bundle, output, format, &mut shower(&task))?;
    drop(task);
    for line in &made.mounts_left_out {
        ctx.ui.warn(format!("`{}` of its /etc/fstab is left out", line.escape_debug()));
    }
    let took = began.elapsed();
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "path": output,
            "virtual_size": size,
            "allocated": made.bytes_written,
            "os": made.os,
            "arch": made.arch,
            "kernel": made.kernel,
            "firmware": made.firmware,
            "secure_boot": made.secure_boot,
            "root_uuid": made.root_uuid,
            "entries": made.entries,
            "tree_bytes": made.tree_bytes,
            "mounts_left_out": made.mounts_left_out,
            "took_ms": took.as_millis(),
        }));
        return Ok(0);
    }
    let firmware: Vec<String> = made.firmware.iter().map(ToString::to_string).collect();
    ctx.ui.say(format!(
        "disk made in {:.1} s: {}, kernel {}, {size} ({} on disk), boots by {}",
        took.as_secs_f64(),
        made.os.pretty_name,
        made.kernel,
        Bytes(made.bytes_written),
        firmware.join(" and "),
    ));
    ctx.ui.out(output.display().to_string());
    Ok(0)
}

fn disk(args: &Assemble) -> Disk {
    let firmware: Vec<image::Firmware> = args
        .firmware
        .iter()
        .map(|firmware| match firmware {
            Firmware::Bios => image::Firmware::Bios,
            Firmware::Uefi => image::Firmware::Uefi,
        })
        .collect();
    Disk {
        size: args.size,
        swap: args.swap,
        table: match args.table {
            Table::Gpt => NewTable::Gpt,
            Table::Mbr => NewTable::Mbr,
        },
        firmware: (!firmware.is_empty()).then_some(firmware),
        hostname: args.hostname.clone(),
        keep_identity: args.keep_identity,
        cmdline: args.cmdline.clone(),
    }
}

fn format(args: &Assemble, output: &Path) -> Result<OutputFormat, Problem> {
    match (args.format, TargetFormat::of_name(output)) {
        (Some(Format::Raw), _) | (None, Some(TargetFormat::Raw)) => Ok(OutputFormat::Raw),
        (Some(Format::Qcow2), _) | (None, Some(TargetFormat::Qcow2)) => Ok(OutputFormat::Qcow2),
        (None, _) => {
            let what = format!("`{}` does not tell the disk's format", output.display());
            let hint = "add `--format qcow2` or `--format raw`; `kiln image convert` makes others";
            Err(Problem::new(Class::Usage, what).hint(hint))
        }
    }
}

fn assembly<'a>(ctx: &'a Context, disk: &'a Disk) -> Assembly<'a> {
    let kiln_version = env!("CARGO_PKG_VERSION");
    // What the store takes is brought onto the medium by the store.
    Assembly { host: &ctx.host, disk, now: now(), kiln_version, sync: false }
}

/// Returns what shows how far an assembly is.
fn shower(task: &Task) -> impl FnMut(Progress) + '_ {
    let mut shown = 0;
    move |progress| match progress {
        Progress::Tables => task.phase("partitions", ""),
        Progress::Tree { bytes, entries } if bytes >= shown + STEP => {
            shown = bytes;
            task.phase("files", &format!("{entries}, {}", Bytes(bytes)));
        }
        Progress::Tree { .. } => {}
        Progress::BootLoader => task.phase("boot loader", ""),
        Progress::Appliance => task.phase("appliance", ""),
        Progress::Flush => task.phase("write", ""),
    }
}

fn into_store(
    ctx: &Context,
    bundle: &BundleFile,
    name: Option<&ImageName>,
    disk: &Disk,
) -> anyhow::Result<InStore> {
    let name = match name {
        Some(name) => name.clone(),
        None => bundle.name().to_ascii_lowercase().parse().map_err(|error| {
            let what = format!("`{}` gives no name for an image", bundle.path.display());
            Problem::new(Class::Usage, what)
                .hint("`kiln bundle assemble BUNDLE --name NAME` names it")
                .because(anyhow::Error::new(error))
        })?,
    };
    let store = ctx.store()?;
    let task = ctx.ui.task(name.as_str());
    let stored = assembly(ctx, disk).to_store(bundle, (&store, &name), &mut shower(&task))?;
    Ok(stored)
}

fn told_of_store(ctx: &Context, stored: &InStore, began: Instant) -> anyhow::Result<()> {
    let manifest = &stored.image.manifest;
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "image": manifest,
            "path": stored.image.path,
            "cached": stored.cached,
            "took_ms": began.elapsed().as_millis(),
        }));
        return Ok(());
    }
    let how = if stored.cached {
        "is in the store already".to_owned()
    } else {
        format!("made in {:.1} s", began.elapsed().as_secs_f64())
    };
    ctx.ui.say(format!(
        "image `{}` {how}: {}, {} ({} on disk), kernel {}",
        manifest.name,
        manifest.os.pretty_name,
        manifest.virtual_size,
        manifest.file_size,
        manifest.kernel
    ));
    ctx.ui.out(&manifest.name);
    Ok(())
}

/// Where a bundle is, a path or an address, and what its archive must be.
pub(crate) type Place<'a> = (&'a str, Option<&'a Digest>);

/// Returns what the image of a bundle is called, and its digest if its disk is in the store. Nothing is
/// fetched and nothing made.
///
/// # Errors
///
/// Not there (class object), no bundle; a name that no image can have (class file).
pub(crate) fn stored(
    ctx: &Context,
    (at, sha256): Place<'_>,
) -> anyhow::Result<(ImageName, Option<Digest>)> {
    let (name, bundle) = match sha256 {
        Some(sha256) => {
            let last = at.rsplit('/').next().unwrap_or_default();
            (last.split(".tar").next().unwrap_or_default().to_owned(), sha256.clone())
        }
        None => {
            let file = BundleFile::open(Path::new(at))?;
            (file.name(), file.digest(&mut |_| !kiln_host::signal::interrupted())?)
        }
    };
    let name = name.to_ascii_lowercase().parse().map_err(|error| {
        let what = format!("`{at}` gives no name for an image");
        Problem::new(Class::File, what).because(anyhow::Error::new(error))
    })?;
    let plan = assembly(ctx, &Disk::default()).plan(&bundle);
    let store = ctx.store_if_there()?;
    let image = store.map(|store| store.find_by_recipe(&plan)).transpose()?.flatten();
    Ok((name, image.map(|image| image.manifest.digest)))
}

/// Makes the disk of a bundle in the store, under this name; one with an address is fetched.
///
/// # Errors
///
/// It cannot be fetched, or is another than it must be; no disk can be made of it.
pub(crate) fn made(ctx: &Context, (at, sha256): Place<'_>, name: &ImageName) -> anyhow::Result<()> {
    let bundle = match sha256 {
        Some(_) => fetched(ctx, at, None, (&Trust::default(), sha256))?,
        None => BundleFile::open(Path::new(at))?,
    };
    into_store(ctx, &bundle, Some(name), &Disk::default()).map(drop)
}

/// Makes the disk of what is to be launched, if that is a bundle, and returns the digest of the
/// image in the store. A name is one of an image first.
///
/// # Errors
///
/// No disk can be made of it; `trust` for what is no address (class usage); a dry run that would have to make one (class usage).
pub(crate) fn launchable(
    ctx: &Context,
    wanted: &str,
    (trust, dry_run): (&Trust, bool),
) -> anyhow::Result<Option<String>> {
    if !is_address(wanted) {
        no_server(wanted, trust)?;
    }
    let bundle = if is_address(wanted) {
        fetched(ctx, wanted, None, (trust, None))?
    } else if wanted.contains('/') {
        let path = Path::new(wanted);
        if !path.is_file() || !is_bundle(path)? {
            return Ok(None);
        }
        BundleFile::open(path)?
    } else {
        let there = ctx.store()?.find(wanted).is_ok();
        match super::shelf(ctx)?.find(wanted) {
            Ok(bundle) if !there => bundle,
            _ => return Ok(None),
        }
    };
    if dry_run {
        let what = format!("`{wanted}` is a bundle, and a dry run makes no disk of it");
        let hint = format!("`kiln bundle assemble {wanted}` makes one, which can be launched");
        return Err(Problem::new(Class::Usage, what).hint(hint).into());
    }
    let stored = into_store(ctx, &bundle, None, &Disk::default())?;
    Ok(Some(stored.image.manifest.digest.to_string()))
}
