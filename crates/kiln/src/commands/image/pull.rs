// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image pull`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use kiln_build::catalog::pull::{self, PullContext, PullEvent, Pulled};
use kiln_build::catalog::url::Address;
use kiln_build::catalog::{CatalogError, Entry};
use kiln_spec::Bytes;
use kiln_spec::image::Digest;
use kiln_spec::recipe::ImageName;
use serde_json::json;

use super::as_json;
use crate::args::image::pull::{CONNECTIONS, Pull};
use crate::commands::catalog::read::{self, Tools, plain};
use crate::context::{Context, now};
use crate::error::{Class, Problem};
use crate::ui::Task;

/// How often a line of progress is made: more often than a terminal shows is waste.
const SHOWN: Duration = Duration::from_millis(100);

/// Pulls an image.
pub(crate) fn run(ctx: &Context, args: &Pull) -> anyhow::Result<u8> {
    let sources = read::sources(ctx);
    let tools = Tools::new(ctx);
    let reader = tools.reader(ctx);
    let arch = read::arch(args.arch.as_deref());
    let (source, entry) = read::find(ctx, &reader, &sources, (&args.image, &arch))?;
    let name = name_of(args, &entry)?;
    ctx.ui.detail(format!("`{}` of catalog `{}`: {}", entry.name, entry.catalog, entry.url));
    if args.dry_run {
        return dry_run(ctx, &entry, &name);
    }
    let how = How { connections: args.connections, force: args.force };
    let pulled =
        with(ctx, &tools, &how, |pull, event| pull::pull(pull, source, &entry, &name, event))?;
    report(ctx, &entry, &pulled)
}

/// Pulls an image from a catalog into the store under this name, unless it is there.
///
/// # Errors
///
/// None has it (class object); as `kiln image pull`.
pub(crate) fn from_catalog(
    ctx: &Context,
    wanted: &str,
    name: &ImageName,
) -> anyhow::Result<Pulled> {
    let (sources, tools) = (read::sources(ctx), Tools::new(ctx));
    let arch = read::arch(None);
    let (source, entry) = read::find(ctx, &tools.reader(ctx), &sources, (wanted, &arch))?;
    with(ctx, &tools, &How::default(), |pull, event| pull::pull(pull, source, &entry, name, event))
}

/// Fetches an image from an address into the store under this name, unless it is there.
///
/// # Errors
///
/// It cannot be fetched, or is another than it must be.
pub(crate) fn from_address(
    ctx: &Context,
    (url, sha256): (&str, &Digest),
    name: &ImageName,
) -> anyhow::Result<Pulled> {
    let url = Address::parse(url)?;
    with(ctx, &Tools::new(ctx), &How::default(), |pull, event| {
        pull::fetch(pull, (&url, &sha256.into()), name, event)
    })
}

/// How an image is pulled.
struct How {
    connections: u8,
    force: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { connections: CONNECTIONS, force: false }
    }
}

/// Does `work` with what an image is pulled with, and shows how it goes.
fn with(
    ctx: &Context,
    tools: &Tools,
    how: &How,
    work: impl FnOnce(&PullContext<'_>, &dyn Fn(PullEvent)) -> Result<Pulled, CatalogError>,
) -> anyhow::Result<Pulled> {
    let store = ctx.store()?;
    let pull = PullContext {
        reader: tools.reader(ctx),
        store: &store,
        now: now(),
        kiln_version: env!("CARGO_PKG_VERSION"),
        connections: usize::from(how.connections),
        force: how.force,
    };
    let task = ctx.ui.task("pull");
    let shown =
        Shown { task: &task, began: Instant::now(), last: Cell::new(None), at: Cell::default() };
    Ok(work(&pull, &|event| shown.event(event))?)
}

fn name_of(args: &Pull, entry: &Entry) -> anyhow::Result<ImageName> {
    let name = args.name.clone().unwrap_or_else(|| entry.name.to_lowercase());
    name.parse().map_err(|error| {
        Problem::new(Class::Usage, "the image needs a name")
            .because(error)
            .hint("`--as NAME` gives it one")
            .into()
    })
}

fn dry_run(ctx: &Context, entry: &Entry, name: &ImageName) -> anyhow::Result<u8> {
    if ctx.ui.json() {
        let mut value = read::as_json(entry);
        value["name"] = json!(name.as_str());
        value["dry_run"] = json!(true);
        ctx.ui.result(&value);
        return Ok(0);
    }
    let size = entry.download.map_or_else(String::new, |size| format!(", {size}"));
    let title = plain(&entry.title);
    ctx.ui.out(format!("would pull {title} as `{name}` from {}{size}", entry.url));
    ctx.ui.out(format!("proven by {}", entry.proven_by()));
    Ok(0)
}

fn report(ctx: &Context, entry: &Entry, pulled: &Pulled) -> anyhow::Result<u8> {
    let manifest = &pulled.image.manifest;
    if ctx.ui.json() {
        let mut value = json!({ "image": as_json(&pulled.image)?, "cached": pulled.cached });
        value["checksum"] = json!(pulled.checksum.to_string());
        value["replaced"] = json!(pulled.replaced);
        ctx.ui.result(&value);
        return Ok(0);
    }
    if let Some(before) = &pulled.replaced {
        ctx.ui.say(format!("the image that had the name is found by {}", before.short()));
    }
    let how = if pulled.cached { "is in the store already" } else { "pulled" };
    let title = plain(&manifest.os.pretty_name);
    ctx.ui.say(format!("{how}: {title}, {}, proven by {}", manifest.file_size, entry.proven_by()));
    let name = pulled.image.names.first().cloned().unwrap_or_else(|| manifest.name.clone());
    let named = pulled.image.names.iter().find(|known| **known == manifest.name);
    ctx.ui.out(named.cloned().unwrap_or(name));
    Ok(0)
}

/// Shows events as they come, with the speed of a download.
struct Shown<'a> {
    task: &'a Task,
    began: Instant,
    last: Cell<Option<Instant>>,
    /// Bytes that were there when the download began.
    at: Cell<Option<u64>>,
}

impl Shown<'_> {
    fn event(&self, event: PullEvent) {
        let often = matches!(
            event,
            PullEvent::Download(..)
                | PullEvent::Hash(_)
                | PullEvent::Unpack(_)
                | PullEvent::Convert(..)
        );
        if often && self.last.get().is_some_and(|at| at.elapsed() < SHOWN) {
            return;
        }
        self.last.set(Some(Instant::now()));
        match event {
            PullEvent::Waiting => self.task.phase("wait", "another process pulls it"),
            PullEvent::Proving => self.task.phase("checksum", ""),
            PullEvent::Download(done, of) => self.task.phase("download", &self.speed(done, of)),
            PullEvent::Hash(done) => self.task.phase("hash", &done.to_string()),
            PullEvent::Unpack(done) => self.task.phase("unpack", &done.to_string()),
            PullEvent::Convert(done, of) => self.task.phase("qcow2", &percent(done, of)),
            PullEvent::Store => self.task.phase("store", ""),
            _ => {}
        }
    }

    fn speed(&self, done: Bytes, of: Bytes) -> String {
        let began = self.at.get().unwrap_or_else(|| {
            self.at.set(Some(done.0));
            done.0
        });
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = Bytes(done.0.saturating_sub(began).saturating_mul(1000) / millis);
        if of == Bytes(0) {
            return format!("{done}, {rate}/s");
        }
        format!("{} of {of}, {rate}/s", percent(done, of))
    }
}

fn percent(done: Bytes, of: Bytes) -> String {
    let percent = (u128::from(done.0) * 100).checked_div(u128::from(of.0)).unwrap_or(100);
    format!("{percent}%")
}
