// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is to be built, as a value: steps, each with the digest of all that goes into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_host::read;
use kiln_spec::lock::LockedStep;
use kiln_spec::recipe::{Base, KernelWords, Parameters, TreeBase};
use kiln_spec::{Arch, Bytes, Digest, Recipe};
use serde_json::{Value, json};

use super::fetched::Wanted;
use super::rpm::RpmTree;
use super::sources;
use crate::BuildError;
use crate::base::debian::{self, Keyring};
use crate::bundle::{BundleFile, Shelf};
use crate::digest;
use crate::element::dib::run::Runner;
use crate::element::dib::{Phase, block_device};
use crate::element::native::{self, Family, Given, Source};
use crate::workspace::Edit;

/// Raised whenever the same plan makes another image or layer: then no older one answers.
const FORMAT: u32 = 2;
/// The most that is read of a recipe.
pub(super) const MOST_RECIPE: u64 = 4 << 20;
/// How many recipes may stand on one another.
const MOST_RECIPES: usize = 32;

/// One step of a build.
#[derive(Debug)]
pub struct Step {
    /// What it is called: `base`, `files`, `command 1`.
    pub name: String,
    /// The digest of all that goes into it, and into the steps before.
    pub digest: Digest,
    /// No file that it makes is newer, in seconds since 1970.
    pub(super) epoch: u64,
    /// All that goes into it.
    value: Value,
    /// What it is to take from elsewhere.
    pub(super) lock: Option<LockedStep>,
    pub(super) action: Action,
}

impl Step {
    fn digest_on(&self, below: Option<&Digest>, arch: Arch) -> Digest {
        let mut whole = json!({
            "format": FORMAT,
            "below": below,
            "arch": arch,
            "step": self.value,
            "epoch": self.epoch,
        });
        if let Some(lock) = &self.lock {
            whole["lock"] = json!(lock);
        }
        digest::of_bytes(whole.to_string().as_bytes())
    }

    /// Returns whether its programs have the network.
    pub(super) fn has_network(&self) -> bool {
        match &self.action {
            Action::Packages(_) | Action::Dib(..) => true,
            Action::Command { network, .. } => *network,
            _ => false,
        }
    }

    /// Returns the digest of the archive that it unpacks.
    pub(super) fn archive(&self) -> Option<Digest> {
        self.value.get("archive")?.as_str()?.parse().ok()
    }
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Action {
    /// Makes a tree of Debian's packages.
    Debian(Box<(Recipe, Option<Keyring>)>),
    /// Makes a tree of RPM packages.
    Rpm(Box<RpmTree>),
    /// Unpacks an archive.
    Archive(Box<BundleFile>),
    /// Fetches an archive and unpacks it.
    Fetched(Wanted),
    /// Takes the tree of a disk image.
    Image(PathBuf),
    /// Installs packages with the tree's own package manager.
    Packages(Vec<String>),
    /// Edits the tree.
    Edit(Vec<Edit>),
    /// Applies an element of Kiln's.
    Element(&'static Source, Given),
    /// Runs a phase of diskimage-builder's elements.
    Dib(Arc<Runner>, Phase),
    /// Runs lines with the tree's shell.
    Command { run: String, network: bool },
}

/// What is to be built.
#[derive(Debug)]
pub struct Plan<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) arch: Arch,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The account that one logs in to.
    pub(super) user: Option<String>,
    /// Words for the kernel: the recipe's, and its elements'.
    pub(super) kernel_cmdline: Option<KernelWords>,
    /// No file of the image is newer, in seconds since 1970.
    pub(super) epoch: u64,
    /// Whether it has a lock.
    pub(super) is_locked: bool,
    /// All that shapes the image, without the steps.
    whole: Value,
    /// The disk that diskimage-builder's elements ask for.
    pub(super) block_device: Option<block_device::Disk>,
    /// The digest of all that shapes the image.
    pub digest: Digest,
}

/// Where a plan finds what a recipe names.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The recipe's file.
    pub recipe: &'a Path,
    /// The folder of bundles that have names.
    pub bundles: &'a Path,
    /// The folder of the store, for images that have names.
    pub store: &'a Path,
}

/// The steps so far.
pub(super) struct Steps<'a> {
    pub(super) steps: Vec<Step>,
    /// The recipes that stand on one another, the topmost first.
    pub(super) files: Vec<PathBuf>,
    pub(super) bundles: &'a Path,
    pub(super) store: &'a Path,
    pub(super) arch: Arch,
    pub(super) epoch: u64,
    pub(super) block_device: Option<block_device::Disk>,
}

impl<'a> Plan<'a> {
    /// Makes the plan of `recipe`: reads what it names, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError::Arch`]; [`BuildError::Io`] and others for what it names.
    pub fn of(recipe: &'a Recipe, places: Places<'_>) -> Result<Self, BuildError> {
        let host = Arch::native();
        let arch = recipe.arch.or(host).ok_or(BuildError::UnknownHost)?;
        if Some(arch) != host {
            return Err(BuildError::Arch { wanted: arch, host });
        }
        let files = vec![places.recipe.to_owned()];
        let Places { bundles, store, .. } = places;
        let epoch = debian::EPOCH;
        let (steps, block_device) = (Vec::new(), None);
        let mut steps = Steps { steps, files, bundles, store, arch, epoch, block_device };
        let user = steps.add_recipe(recipe)?;
        let kernel_cmdline = kernel_cmdline(recipe)?;
        let mut whole = json!({
            "format": FORMAT,
            "name": recipe.name,
            "arch": arch,
            "disk": recipe.disk,
            "block_device": steps.block_device.as_ref().map(|disk| format!("{disk:?}")),
            "user": user,
            "memory": recipe.memory,
            "kernel_cmdline": kernel_cmdline,
            "epoch": steps.epoch,
        });
        if !recipe.properties.is_empty() {
            whole["properties"] = json!(recipe.properties);
        }
        let digest = digest::of_bytes(&[]);
        let Steps { steps, epoch, block_device, .. } = steps;
        let mut plan = Self {
            recipe,
            arch,
            steps,
            user,
            kernel_cmdline,
            block_device,
            epoch,
            is_locked: false,
            whole,
            digest,
        };
        plan.chain();
        Ok(plan)
    }

    /// Returns the time that no file of the image is newer than, in seconds since 1970.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Computes the digests anew, each from all that is before it.
    pub(super) fn chain(&mut self) {
        let mut below: Option<Digest> = None;
        for step in &mut self.steps {
            step.digest = step.digest_on(below.as_ref(), self.arch);
            below = Some(step.digest.clone());
        }
        let mut whole = self.whole.clone();
        whole["tree"] = json!(below);
        self.digest = digest::of_bytes(whole.to_string().as_bytes());
    }

    /// Returns how large the disk is.
    pub(super) fn disk_size(&self) -> Bytes {
        let own = &self.recipe.disk;
        let wanted = self.block_device.as_ref().and_then(|disk| disk.size);
        if own.size_given { own.size } else { wanted.unwrap_or(own.size) }
    }

    /// What the image's UUIDs are made from.
    pub(super) fn seed(&self) -> [u8; 16] {
        let hex = self.digest.hex();
        let byte = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16);
        std::array::from_fn(|n| byte(n).expect("a digest has hexadecimal digits"))
    }
}

/// Returns the kernel's words of a recipe and its elements.
fn kernel_cmdline(recipe: &Recipe) -> Result<Option<KernelWords>, BuildError> {
    let mut words = recipe.kernel_cmdline.clone();
    for used in &recipe.elements {
        let source = native::find(used.name.as_str()).map_err(BuildError::Element)?;
        let expansion = source.expand(&used.with, Family::Debian).map_err(BuildError::Element)?;
        if let Some(more) = expansion.kernel_cmdline {
            words = Some(words.map_or_else(|| more.clone(), |words| words.and(&more)));
        }
    }
    Ok(words)
}

impl Steps<'_> {
    /// Adds a step; `value` is all that goes into it.
    pub(super) fn add(&mut self, name: impl Into<String>, value: &Value, action: Action) {
        let name = name.into();
        let (epoch, value) = (self.epoch, value.clone());
        let digest = digest::of_bytes(&[]);
        self.steps.push(Step { name, digest, epoch, value, lock: None, action });
    }

    pub(super) fn add_edits(&mut self, name: &str, edits: Vec<Edit>) {
        if !edits.is_empty() {
            self.add(name, &json!({ "edits": edits }), Action::Edit(edits));
        }
    }

    /// Adds the steps of a recipe; returns its user. Its time is that of all steps from here on.
    fn add_recipe(&mut self, recipe: &Recipe) -> Result<Option<String>, BuildError> {
        let mut user = recipe.user.as_ref().map(ToString::to_string);
        let none = Parameters::new();
        let below = match &recipe.base {
            Base::Tree(TreeBase::Recipe(base)) => Some((&base.file, &base.parameters)),
            Base::Tree(TreeBase::Dib(dib)) => dib.on.as_ref().map(|file| (file, &none)),
            _ => None,
        };
        if let Some((file, parameters)) = below {
            let below = self.add_below(&self.beside(file), parameters)?;
            user = user.or(below);
        }
        self.epoch = recipe.epoch().unwrap_or(self.epoch);
        match &recipe.base {
            Base::Packages(base) => self.add_debian(recipe, base)?,
            Base::Rpm(base) => self.add_rpm(recipe, base)?,
            Base::Tree(TreeBase::Tar(base)) => self.add_tar(base)?,
            Base::Tree(TreeBase::Bundle(name)) => {
                let found = if name.contains('/') {
                    BundleFile::open(&self.beside(name))
                } else {
                    Shelf::open(self.bundles).and_then(|shelf| shelf.find(name))
                };
                self.add_archive(found.map_err(BuildError::Bundle)?)?;
            }
            Base::Tree(TreeBase::Image(name)) => self.add_image(name)?,
            Base::Tree(TreeBase::Dib(dib)) => self.add_dib(recipe, dib)?,
            Base::Tree(_) => {}
        }
        self.add_own(recipe)?;
        Ok(user)
    }

    fn add_elements(&mut self, recipe: &Recipe) -> Result<(), BuildError> {
        for used in &recipe.elements {
            let source = native::find(used.name.as_str()).map_err(BuildError::Element)?;
            // What is wrong with the parameters is told before anything is built.
            for family in [Family::Debian, Family::Rpm] {
                source.expand(&used.with, family).map_err(BuildError::Element)?;
            }
            let files = [source.yaml, source.script.unwrap_or_default()];
            let value = json!({ "element": files, "with": used.with });
            let action = Action::Element(source, used.with.clone());
            self.add(format!("element {}", used.name), &value, action);
        }
        Ok(())
    }

    /// Returns the place of a file that the topmost recipe names.
    pub(super) fn beside(&self, file: &str) -> PathBuf {
        let recipe = self.files.last().and_then(|path| path.parent());
        recipe.unwrap_or(Path::new("")).join(file)
    }

    /// Adds the steps of the recipe in another file.
    fn add_below(&mut self, path: &Path, given: &Parameters) -> Result<Option<String>, BuildError> {
        let failed = |source| BuildError::io("read", path, source);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let cycle = self.files.iter().any(|known| real(known) == real(path));
        if cycle || self.files.len() >= MOST_RECIPES {
            let mut files = self.files.clone();
            files.push(path.to_owned());
            return Err(BuildError::Cycle { files });
        }
        let bytes = read::bounded(path, MOST_RECIPE).map_err(failed)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let shown = path.display().to_string();
        let recipe = Recipe::parse_with(&text, &shown, given)
            .map_err(|source| BuildError::Recipe { path: path.to_owned(), source })?;
        self.files.push(path.to_owned());
        let user = self.add_recipe(&recipe);
        self.files.pop();
        user
    }

    /// Adds the steps that follow the base.
    fn add_own(&mut self, recipe: &Recipe) -> Result<(), BuildError> {
        if let Base::Tree(_) = recipe.base {
            if !recipe.packages.is_empty() {
                let names: Vec<_> = recipe.packages.iter().map(ToString::to_string).collect();
                self.add("packages", &json!({ "packages": names }), Action::Packages(names));
            }
            self.add_edits("system", sources::settings(recipe));
        }
        self.add_elements(recipe)?;
        let file = self.files.last().cloned().unwrap_or_default();
        let edits = sources::files(recipe, file.parent().unwrap_or(Path::new("")))?;
        self.add_edits("files", edits);
        self.add_edits("users", sources::users(&recipe.users));
        for (n, command) in recipe.commands.iter().enumerate() {
            let name = command.name.clone().unwrap_or_else(|| format!("command {}", n + 1));
            let (run, network) = (command.run.clone(), command.network);
            let value = json!({ "run": run, "network": network });
            self.add(name, &value, Action::Command { run, network });
        }
        self.add_edits("units", sources::units(&recipe.units));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(more: &str) -> Recipe {
        let text = format!("kiln: 1\nname: d\nbase: {{debian: bookworm}}\n{more}");
        Recipe::parse(&text, "r").unwrap_or_else(|e| panic!("{e}"))
    }

    fn plan(recipe: &Recipe) -> Plan<'_> {
        let places = Places {
            recipe: Path::new("r.yaml"),
            bundles: Path::new("/none"),
            store: Path::new("/none"),
        };
        Plan::of(recipe, places).unwrap()
    }

    fn digest_of(more: &str) -> Digest {
        plan(&recipe(more)).digest
    }

    #[test]
    fn the_same_recipe_written_otherwise_has_the_same_digest() {
        let native = Arch::native().unwrap();
        assert_eq!(digest_of(""), digest_of(&format!("user: debian\narch: {native}\n")));
        assert_eq!(digest_of(""), digest_of("disk: {size: 2048M}\n# a comment\n"));
        let with = digest_of("parameters: {p: nginx}\npackages: ['${p}']\n");
        assert_eq!(with, digest_of("packages: [nginx]\n"));
    }

    #[test]
    fn each_value_changes_the_digest() {
        let others = [
            "",
            "packages: [nginx]\n",
            "user: ops\n",
            "disk: {size: 3GiB}\n",
            "disk: {swap: 1GiB}\n",
            "disk: {label: other}\n",
            "memory: 1GiB\n",
            "hostname: h\n",
            "locale: de_DE.UTF-8\n",
            "timezone: Europe/Berlin\n",
            "kernel_cmdline: quiet\n",
            "files: [{path: /x, content: a}]\n",
            "files: [{path: /x, content: b}]\n",
            "files: [{path: /x, content: b, mode: 0600}]\n",
            "files: [{path: /x, content: b, owner: games}]\n",
            "users: [{name: a}]\n",
            "commands: [a]\n",
            "commands: [{run: a, network: true}]\n",
            "units: {enable: [a]}\n",
            "units: {mask: [a]}\n",
            "source_date_epoch: 5\n",
            "properties: {os_type: linux}\n",
        ];
        let mut digests: Vec<_> = others.iter().map(|more| digest_of(more)).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), others.len());
    }

    #[test]
    fn a_change_changes_its_step_and_those_after_it() {
        let before = recipe("files: [{path: /x, content: a}]\ncommands: [one, two]\n");
        let after = recipe("files: [{path: /x, content: a}]\ncommands: [one, three]\n");
        let (before, after) = (plan(&before), plan(&after));
        let names: Vec<_> = before.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["base", "system", "files", "command 1", "command 2"]);
        let same = before.steps.iter().zip(&after.steps).take_while(|(a, b)| a.digest == b.digest);
        assert_eq!(same.count(), 4);
        // The disk is no part of the tree.
        let larger = recipe("disk: {size: 5GiB}\n");
        let small = recipe("");
        assert_eq!(plan(&small).steps[1].digest, plan(&larger).steps[1].digest);
    }

    #[test]
    fn another_architecture_is_refused() {
        let other = Arch::ALL.iter().find(|arch| Some(**arch) != Arch::native()).unwrap();
        let recipe = recipe(&format!("arch: {other}\n"));
        let places = Places {
            recipe: Path::new("r.yaml"),
            bundles: Path::new("/none"),
            store: Path::new("/none"),
        };
        let error = Plan::of(&recipe, places).unwrap_err();
        let host = Arch::native().unwrap();
        assert_eq!(
            error.to_string(),
            format!("the recipe is for {other}, and this host is {host}")
        );
    }
}
