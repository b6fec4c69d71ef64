// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes into images of a Ceph pool, and what hangs on what in it.
//!
//! libvirt makes, clones, resizes and removes such images, and can neither fill nor read them. So
//! Kiln goes to the cluster itself, by what the pool's definition says: its monitors, its user, and
//! the key that libvirt holds.
//!
//! **Invariant:** the key is in a private file, in a folder that goes with [`Client`], or after a
//! kill with the next `kiln`; programs are told the file's name.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use kiln_disk::convert::{Opener, fill};
use kiln_disk::device::{Device, RawFile};
use kiln_disk::format::nbd::{NbdDevice, Served, serve};
use kiln_host::scratch::Scratch;
use kiln_host::tools::qemu_storage_daemon::{Access, Backing, EXPORT, Node, Rbd, Source};
use kiln_host::tools::rbd::{self, Entry, Listed};
use kiln_host::{Cmd, CmdError, Host as _, signal};
use kiln_libvirt::Connection;
use kiln_libvirt::domain::{RbdHost, RbdSecret};
use kiln_libvirt::storage::RbdPool;

use crate::context::Context;
use crate::error::{Class, Problem};
use crate::remains;

/// The snapshot of a template that machines lie over.
pub(crate) const SNAPSHOT: &str = "kiln";
/// How many requests for data are under way at once.
const HANDS: NonZeroUsize = NonZeroUsize::new(8).expect("it is not zero");
/// The least bytes of an image, and what its length is a multiple of.
pub(crate) const SECTOR: u64 = 512;
/// How long a monitor may take to answer: as libvirt's own driver has it.
const PATIENCE: u32 = 30;

/// A way to one pool of a cluster.
pub(crate) struct Client<'a> {
    ctx: &'a Context,
    pool: String,
    user: Option<String>,
    conf: PathBuf,
    _scratch: Scratch,
}

impl<'a> Client<'a> {
    /// Prepares to go to a pool of the host's as the host does.
    ///
    /// # Errors
    ///
    /// The secret is gone, private or empty (class object); no folder for the key.
    pub(crate) fn open(
        ctx: &'a Context,
        conn: &Connection,
        pool: &RbdPool,
    ) -> anyhow::Result<Self> {
        let scratch = Scratch::begin(&remains::folder(ctx), "ceph")?;
        let conf = scratch.path().join("ceph.conf");
        let text = conf_of(pool, key(conn, pool)?.as_deref());
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&conf)?;
        file.write_all(text.as_bytes())?;
        let user = pool.auth.as_ref().map(|auth| auth.user.clone());
        Ok(Self { ctx, pool: pool.pool.clone(), user, conf, _scratch: scratch })
    }

    fn image(&self, name: &str) -> Rbd {
        Rbd {
            pool: self.pool.clone(),
            image: name.to_owned(),
            user: self.user.clone(),
            conf: Some(self.conf.clone()),
            ..Rbd::default()
        }
    }

    fn shown(&self, image: &str) -> String {
        format!("{}/{image}", self.pool)
    }

    fn run(&self, cmd: &Cmd) -> Result<Vec<u8>, CmdError> {
        Ok(self.ctx.host.run(cmd)?.stdout)
    }

    /// Opens an image, or a snapshot of one to be read.
    ///
    /// # Errors
    ///
    /// What QEMU says.
    pub(crate) fn serve(
        &self,
        (name, snapshot): (&str, Option<&str>),
        access: Access,
    ) -> anyhow::Result<Served> {
        let image = Rbd { snapshot: snapshot.map(str::to_owned), ..self.image(name) };
        let source = Source::Rbd(image);
        let node = Node { driver: "raw".to_owned(), source, backing: Backing::Unknown, key: None };
        Ok(serve(&self.ctx.host, node, access, &self.shown(name))?)
    }

    /// Writes a few bytes to the beginning of an image.
    ///
    /// # Errors
    ///
    /// What QEMU says.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut served = self.serve((name, None), Access::Write)?;
        served
            .write_at(0, bytes)
            .and_then(|()| served.flush())
            .with_context(|| format!("could not write to the image `{}`", self.shown(name)))
    }

    /// Fills an image that was just made from the first `size` bytes of a disk. `progress` gets how
    /// many bytes are done.
    ///
    /// # Errors
    ///
    /// What QEMU says; a signal.
    pub(crate) fn fill(
        &self,
        name: &str,
        (from, size): (Opener<'_>, u64),
        progress: &(dyn Fn(u64) + Sync),
    ) -> anyhow::Result<()> {
        let served = self.serve((name, None), Access::Write)?;
        let to = once_more(&served);
        let go_on = |done: u64| {
            progress(done);
            !signal::interrupted()
        };
        let filled = fill((from, &to), size, HANDS, &go_on);
        if signal::interrupted() {
            return Err(Problem::stopped().into());
        }
        filled.with_context(|| format!("could not fill the image `{}`", self.shown(name)))
    }

    /// Fills an image that was just made from another one, whose length is `size`.
    ///
    /// # Errors
    ///
    /// As [`Self::fill`].
    pub(crate) fn copy(&self, from: &str, (to, size): (&str, u64)) -> anyhow::Result<()> {
        let served = self.serve((from, None), Access::Read)?;
        let from = once_more(&served);
        self.fill(to, (&from, size), &|_| ())
    }

    /// Brings the bytes of an image into an empty file.
    ///
    /// # Errors
    ///
    /// What QEMU says, or this client's file system; a signal.
    pub(crate) fn fetch(&self, from: &str, to: &File) -> anyhow::Result<()> {
        let served = self.serve((from, None), Access::Read)?;
        let (from, size) = (once_more(&served), served.size());
        to.set_len(size)?;
        let to = || -> io::Result<Box<dyn Device>> {
            Ok(Box::new(RawFile::new(to.try_clone()?)?.without_flush()))
        };
        let fetched = fill((&from, &to), size, HANDS, &|_| !signal::interrupted());
        if signal::interrupted() {
            return Err(Problem::stopped().into());
        }
        Ok(fetched?)
    }

    /// Returns how the verbs for images name an image.
    pub(crate) fn name(&self, image: &str) -> String {
        let escaped = |text: &str| {
            let special = |c: char| r"\:@/".contains(c);
            text.chars().fold(String::new(), |mut all, c| {
                if special(c) {
                    all.push('\\');
                }
                all.push(c);
                all
            })
        };
        let conf = self.conf.display().to_string().replace('\\', r"\\").replace(':', r"\:");
        let user =
            self.user.as_ref().map_or_else(String::new, |user| format!(":id={}", escaped(user)));
        format!("rbd:{}/{}{user}:conf={conf}", escaped(&self.pool), escaped(image))
    }

    /// Makes the snapshot of an image that others lie over, and protects it.
    ///
    /// # Errors
    ///
    /// What `rbd` says.
    pub(crate) fn protect(&self, name: &str) -> anyhow::Result<()> {
        let image = self.image(name);
        self.run(&rbd::snapshot(&image, SNAPSHOT))?;
        self.run(&rbd::protect(&image, SNAPSHOT))?;
        Ok(())
    }

    /// Copies into an image what it lies over.
    ///
    /// # Errors
    ///
    /// What `rbd` says.
    pub(crate) fn flatten(&self, name: &str) -> anyhow::Result<()> {
        self.run(&rbd::flatten(&self.image(name)))?;
        Ok(())
    }

    /// Asks the cluster to see the pool.
    ///
    /// # Errors
    ///
    /// What `rbd` says, as that it is not installed.
    pub(crate) fn knock(&self) -> Result<Entry, CmdError> {
        let status = self.ctx.host.run(&rbd::knock(&self.image("")))?.code;
        Ok(rbd::entry(status))
    }

    /// Lists the pool's images and snapshots, with what each lies over.
    ///
    /// # Errors
    ///
    /// What `rbd` says.
    pub(crate) fn list(&self) -> anyhow::Result<Vec<Listed>> {
        let printed = self.run(&rbd::list(&self.image("")))?;
        let strange = || Problem::new(Class::Tool, "`rbd ls` printed nothing that is known");
        Ok(rbd::parse_list(&printed).ok_or_else(strange)?)
    }

    /// Lists what lies over the snapshots of an image, as libvirt's paths.
    ///
    /// # Errors
    ///
    /// What `rbd` says.
    pub(crate) fn children(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let printed = self.run(&rbd::children(&self.image(name)))?;
        let strange = || Problem::new(Class::Tool, "`rbd children` printed nothing that is known");
        let found = rbd::parse_children(&printed).ok_or_else(strange)?;
        Ok(found.into_iter().map(|(pool, image)| format!("{pool}/{image}")).collect())
    }

    /// Returns whether somebody has an image open. Not there is nobody.
    pub(crate) fn is_watched(&self, name: &str) -> bool {
        let printed = self.run(&rbd::status(&self.image(name)));
        let watchers = printed.ok().and_then(|printed| rbd::parse_watchers(&printed));
        watchers.is_some_and(|watchers| !watchers.is_empty())
    }

    /// Writes a word about an image.
    ///
    /// # Errors
    ///
    /// What `rbd` says.
    pub(crate) fn set_meta(&self, name: &str, key: &str, value: &str) -> anyhow::Result<()> {
        self.run(&rbd::set_meta(&self.image(name), key, value))?;
        Ok(())
    }

    /// Reads a word about an image, if there is one.
    ///
    /// # Errors
    ///
    /// What `rbd` says.
    pub(crate) fn meta(&self, name: &str, key: &str) -> anyhow::Result<Option<String>> {
        let printed = self.run(&rbd::list_meta(&self.image(name)))?;
        Ok(rbd::parse_meta(&printed, key))
    }
}

/// Returns what opens an image that is served once more.
fn once_more(served: &Served) -> impl Fn() -> io::Result<Box<dyn Device>> + Sync + use<> {
    let socket = served.socket();
    move || Ok(Box::new(NbdDevice::connect(&socket, EXPORT)?))
}

/// Removes what a change of an image that was killed had still to bring into it: the image goes.
pub(crate) fn forget_changes(ctx: &Context, pool: &RbdPool, image: &str) {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    // As `kiln image` names its journals: by the image's name, as long as that is.
    let start: String = format!("rbd:{}/{image}:id=", pool.pool).chars().map(plain).collect();
    let start = format!(".{}", start.get(..MOST_WORD).unwrap_or(&start));
    for entry in fs::read_dir(ctx.sub("redo")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&start) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// The most letters of an image's name in the name of a journal.
const MOST_WORD: usize = 100;

/// Asks libvirt for the key of a pool's user.
fn key(conn: &Connection, pool: &RbdPool) -> anyhow::Result<Option<String>> {
    let Some(auth) = &pool.auth else { return Ok(None) };
    let (found, shown) = match &auth.secret {
        RbdSecret::Uuid(uuid) => (conn.secret_by_uuid(*uuid), uuid.to_string()),
        RbdSecret::Usage(name) => (conn.ceph_secret(name), name.clone()),
        _ => return Err(Problem::new(Class::Bug, "a secret of an unknown kind").into()),
    };
    let key = found.and_then(|secret| secret.key()).map_err(|error| {
        let what = format!("the key of client.{} cannot be had", auth.user);
        let problem = Problem::new(Class::Object, what).because(error);
        problem.hint(format!("is the secret `{shown}` there, with a key, and not private? `kiln secret info {shown}` says"))
    })?;
    Ok(Some(key.to_base64()))
}

/// Returns a configuration for Ceph's library: nothing else is read.
fn conf_of(pool: &RbdPool, key: Option<&str>) -> String {
    let address = |host: &RbdHost| {
        let name = &host.name;
        let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
        host.port.map_or(name.clone(), |port| format!("{name}:{port}"))
    };
    let hosts: Vec<String> = pool.hosts.iter().map(address).collect();
    let mut text = format!("[global]\nmon_host = {}\n", hosts.join(","));
    let kind = if key.is_some() { "cephx" } else { "none" };
    writeln!(text, "auth_client_required = {kind}").ok();
    writeln!(text, "client_mount_timeout = {PATIENCE}").ok();
    writeln!(text, "rados_mon_op_timeout = {PATIENCE}").ok();
    if let Some(key) = key {
        writeln!(text, "key = {key}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_libvirt::domain::RbdAuth;

    #[test]
    fn the_configuration_has_every_monitor_and_the_key() {
        let hosts = ["10.0.0.1", "mon2:6789", "[fd00::3]:3300"];
        let mut pool = RbdPool {
            pool: "vms".into(),
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            auth: Some(RbdAuth { user: "libvirt".into(), secret: RbdSecret::Usage("c".into()) }),
        };
        assert_eq!(
            conf_of(&pool, Some("AQ==")),
            "[global]\nmon_host = 10.0.0.1,mon2:6789,[fd00::3]:3300\n\
             auth_client_required = cephx\nclient_mount_timeout = 30\nrados_mon_op_timeout = 30\n\
             key = AQ==\n"
        );
        pool.hosts.truncate(1);
        assert!(conf_of(&pool, None).contains("auth_client_required = none\n"));
    }
}
