// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a verb works with: the environment (read here, once), the printer, Kiln's folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kiln_build::store::Store;
use kiln_host::RealHost;

use crate::args::Global;
use crate::error::{Class, Problem};
use crate::machine::dns::Silent;
use crate::machine::pace::Pace;
use crate::ui::{Ui, UiOptions};

/// The variables that name proxies, in the two ways that programs look for them.
const PROXIES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// The variables of the environment that Kiln heeds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env {
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `KILN_HOME`: Kiln's folder, in place of the usual one.
    pub(crate) kiln_home: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub(crate) xdg_data_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub(crate) xdg_cache_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`: the user's definitions of catalogs are below it.
    pub(crate) xdg_config_home: Option<PathBuf>,
    /// `XDG_CONFIG_DIRS`: the system's.
    pub(crate) xdg_config_dirs: Option<OsString>,
    /// `VIRT_BUILDER_DIRS`: where virt-builder looks for them.
    pub(crate) virt_builder_dirs: Option<OsString>,
    /// `GNUPGHOME`: the user's keyring.
    pub(crate) gnupg_home: Option<PathBuf>,
    /// `GPG_TTY`: where GnuPG's agent asks for a passphrase.
    pub(crate) gpg_tty: Option<PathBuf>,
    /// `SSL_CERT_FILE`: certificates that are trusted in place of the host's.
    pub(crate) ssl_cert_file: Option<PathBuf>,
    /// `LC_ALL`, `LC_MESSAGES` or `LANG`: the language of a catalog's notes.
    pub(crate) locale: Option<String>,
    /// `LIBVIRT_DEFAULT_URI`.
    pub(crate) libvirt_default_uri: Option<String>,
    /// `SSH_AUTH_SOCK`: where the user's SSH agent listens.
    pub(crate) ssh_auth_sock: Option<String>,
    /// `TERM`, handed to ssh.
    pub(crate) term: Option<String>,
    /// `EDITOR`.
    pub(crate) editor: Option<String>,
    /// `VISUAL`.
    pub(crate) visual: Option<String>,
    /// `USER`.
    pub(crate) user: Option<String>,
    /// The user's proxies: `https_proxy` and its kin, by name.
    pub(crate) proxies: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether `NO_COLOR` is set and not empty (no-color.org).
    pub(crate) no_color: bool,
}

impl Env {
    /// Returns the folder of the user's settings, by the XDG Base Directory Specification.
    pub(crate) fn config_home(&self) -> Option<PathBuf> {
        let usual = || self.home.as_ref().map(|home| home.join(".config"));
        self.xdg_config_home.clone().or_else(usual)
    }

    /// Reads the environment.
    pub(crate) fn read() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let path = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        let text = |name: &str| path(name).and_then(|v| v.into_string().ok());
        let proxy = |name: &&str| Some((name.as_bytes().to_vec(), text(name)?.into_bytes()));
        Self {
            home: path("HOME").map(PathBuf::from),
            kiln_home: path("KILN_HOME").map(PathBuf::from),
            xdg_data_home: path("XDG_DATA_HOME").map(PathBuf::from),
            xdg_cache_home: path("XDG_CACHE_HOME").map(PathBuf::from),
            xdg_config_home: path("XDG_CONFIG_HOME").map(PathBuf::from),
            xdg_config_dirs: path("XDG_CONFIG_DIRS"),
            virt_builder_dirs: path("VIRT_BUILDER_DIRS"),
            gnupg_home: path("GNUPGHOME").map(PathBuf::from),
            gpg_tty: path("GPG_TTY").map(PathBuf::from),
            ssl_cert_file: path("SSL_CERT_FILE").map(PathBuf::from),
            locale: ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(text),
            libvirt_default_uri: text("LIBVIRT_DEFAULT_URI"),
            ssh_auth_sock: text("SSH_AUTH_SOCK"),
            term: text("TERM"),
            editor: text("EDITOR"),
            visual: text("VISUAL"),
            user: text("USER"),
            proxies: PROXIES.iter().filter_map(proxy).collect(),
            no_color: path("NO_COLOR").is_some(),
        }
    }
}

/// What a verb works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The environment.
    pub(crate) env: Env,
    /// The options that every verb takes.
    pub(crate) global: Global,
    /// The printer.
    pub(crate) ui: Ui,
    /// This machine, to run tools on.
    pub(crate) host: RealHost,
    /// Kiln's folder: store, keys, journals, what it knows of machines.
    pub(crate) folder: PathBuf,
    /// Whether we are root.
    pub(crate) root: bool,
    /// How many machines are made at the same time.
    pub(crate) pace: Pace,
    /// How the program was called, to be typed again: `kiln`, or its path where it is in none of
    /// the shell's folders.
    pub(crate) program: String,
    /// The DNS servers that were not there.
    pub(crate) silent: Silent,
}

impl Context {
    /// Makes the context.
    ///
    /// # Errors
    ///
    /// When there is no place for Kiln's folder.
    pub(crate) fn new(env: Env, global: Global) -> Result<Self, Problem> {
        let ui = Ui::new(UiOptions {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            plain: global.no_color || env.no_color,
        });
        let root = rustix::process::geteuid().is_root();
        let folder = folder(&env, root).ok_or_else(|| {
            Problem::new(Class::Host, "there is no place for Kiln's folder: HOME is not set")
                .hint("set HOME, or KILN_HOME to a folder of your own")
        })?;
        if !folder.is_absolute() {
            let shown = folder.display();
            let what = format!("Kiln's folder must be an absolute path, and `{shown}` is not");
            let problem = Problem::new(Class::Usage, what);
            return Err(problem.hint("see KILN_HOME, XDG_DATA_HOME and HOME"));
        }
        let program = std::env::args().next().unwrap_or_else(|| "kiln".to_owned());
        let program = kiln_host::cmd::quote(&program);
        let (pace, silent) = (Pace::default(), Silent::default());
        Ok(Self { env, global, ui, host: RealHost, folder, root, pace, program, silent })
    }

    /// Returns a folder inside Kiln's own.
    pub(crate) fn sub(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Opens the store of images.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.sub("store"))?)
    }

    /// Opens the image store if there is one, and makes none: for who only looks.
    pub(crate) fn store_if_there(&self) -> anyhow::Result<Option<Store>> {
        self.sub("store").exists().then(|| self.store()).transpose()
    }

    /// Returns the folder for what this client knows of the machine with this UUID.
    pub(crate) fn machine_folder(&self, uuid: &str) -> PathBuf {
        self.sub("machines").join(uuid)
    }
}

/// Root keeps its things where services do, others where the XDG base directory specification
/// says.
fn folder(env: &Env, root: bool) -> Option<PathBuf> {
    if let Some(folder) = &env.kiln_home {
        return Some(folder.clone());
    }
    if let Some(data) = &env.xdg_data_home {
        return Some(data.join("kiln"));
    }
    if root {
        return Some(Path::new("/var/lib/kiln").to_owned());
    }
    env.home.as_ref().map(|home| home.join(".local/share/kiln"))
}

/// Returns the time now.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Returns the seconds since 1970.
pub(crate) fn unix_secs() -> u64 {
    now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_the_environment() {
        let mut env = Env { home: Some("/home/u".into()), ..Env::default() };
        assert_eq!(folder(&env, false), Some("/home/u/.local/share/kiln".into()));
        assert_eq!(folder(&env, true), Some("/var/lib/kiln".into()));
        env.xdg_data_home = Some("/d".into());
        assert_eq!(folder(&env, true), Some("/d/kiln".into()));
        env.kiln_home = Some("/k".into());
        assert_eq!(folder(&env, true), Some("/k".into()));
        assert_eq!(folder(&Env::default(), false), None);
    }
}
