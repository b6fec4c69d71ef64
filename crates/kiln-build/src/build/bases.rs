// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The steps of a recipe's base: one for what it is made from, and what goes with that.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_host::read;
use kiln_spec::Arch;
use kiln_spec::Recipe;
use kiln_spec::recipe::{DebianBase, DibBase, ElementName, RpmBase, TarBase};
use serde_json::json;

use super::fetched::Wanted;
use super::plan::{Action, MOST_RECIPE, Step, Steps};
use super::rpm::RpmTree;
use super::sources;
use crate::BuildError;
use crate::base::debian::{self, Keyring, TreePlaces};
use crate::base::rpm;
use crate::bundle::{BundleError, BundleFile};
use crate::digest;
use crate::element::dib::run::{PHASES, Runner};
use crate::element::dib::{self, block_device};
use crate::store::Store;

impl Steps<'_> {
    pub(super) fn add_dib(&mut self, recipe: &Recipe, base: &DibBase) -> Result<(), BuildError> {
        let folders: Vec<_> = base.paths.iter().map(|path| self.beside(path)).collect();
        let shelf = dib::Shelf::open(&folders).map_err(BuildError::Element)?;
        let wanted: Vec<_> = base.elements.iter().map(ElementName::as_str).collect();
        let wanted = dib::with_block_device(&wanted, self.arch);
        let given: &[_] = if base.on.is_some() { &["operating-system"] } else { &[] };
        let resolved = dib::resolve(&shelf, &wanted, given).map_err(BuildError::Element)?;
        // Of a recipe below another, the disk does not count.
        if self.files.len() == 1 && !recipe.disk.layout_given {
            self.block_device = self.block_device(base, &resolved)?;
        }
        let variables = base.variables.iter();
        let variables = variables.map(|(name, value)| (name.to_string(), value.clone())).collect();
        let name = recipe.name.as_str();
        let mut runner =
            Runner::new(resolved, name, self.arch, variables).map_err(BuildError::Dib)?;
        let folder = self.beside("");
        for file in &base.files {
            let path = sources::inside(&folder, file.as_str())?;
            runner.add_file(file.as_str(), &path).map_err(BuildError::Dib)?;
        }
        if base.on.is_some() {
            runner.on_a_tree();
        }
        let runner = Arc::new(runner);
        for phase in PHASES {
            let action = Action::Dib(Arc::clone(&runner), phase);
            self.add(phase.folder(), &runner.value(phase), action);
        }
        Ok(())
    }

    /// Returns the disk that elements or `DIB_BLOCK_DEVICE_CONFIG` ask for.
    fn block_device(
        &self,
        base: &DibBase,
        resolved: &dib::Resolved,
    ) -> Result<Option<block_device::Disk>, BuildError> {
        const VARIABLE: &str = "DIB_BLOCK_DEVICE_CONFIG";
        let given = base.variables.iter().find(|(name, _)| name.as_str() == VARIABLE);
        let given = given.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
        let (element, file, text) = if let Some(value) = given {
            let text = match value.strip_prefix("file://") {
                None => value.to_owned(),
                Some(path) => {
                    let path = self.beside(path);
                    let failed = |source| BuildError::io("read", &path, source);
                    let bytes = read::bounded(&path, MOST_RECIPE).map_err(failed)?;
                    String::from_utf8(bytes).map_err(|error| {
                        failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
                    })?
                }
            };
            let variables = dib::Element { name: "variables".to_owned(), path: PathBuf::new() };
            (variables, VARIABLE.to_owned(), text)
        } else {
            let arch = if self.arch == Arch::Arm64 { "arm64" } else { "amd64" };
            match block_device::find(resolved, arch).map_err(BuildError::Element)? {
                Some(found) => found,
                None => return Ok(None),
            }
        };
        let nodes = block_device::graph(&element, &file, &text).map_err(BuildError::Element)?;
        let disk = block_device::Disk::of(&element, &file, &nodes);
        disk.map(Some).map_err(BuildError::Element)
    }

    pub(super) fn add_debian(
        &mut self,
        recipe: &Recipe,
        base: &DebianBase,
    ) -> Result<(), BuildError> {
        let keyring = match &base.keyring {
            Some(file) => Some(Keyring::read(&sources::inside(&self.beside(""), file)?)?),
            None => None,
        };
        let places = TreePlaces { scripts: Path::new(""), keyring: keyring.as_ref() };
        let tree = debian::tree(recipe, (self.arch, self.epoch), places);
        let mut value = json!({
            "suite": tree.suite,
            "variant": tree.variant,
            "packages": tree.packages,
            "sources": tree.sources,
            "apt": tree.apt,
            "dpkg": tree.dpkg,
            "env": tree.env,
            "scripts": debian::SCRIPTS,
        });
        if let Some(keyring) = &keyring {
            value["keyring"] = json!(digest::of_bytes(&keyring.bytes));
        }
        let files = debian::files(recipe, self.arch, keyring.as_ref());
        self.add("base", &value, Action::Debian(Box::new((recipe.clone(), keyring.clone()))));
        let mut edits = sources::given(files);
        edits.extend(keyring.map(|keyring| sources::keyring(&keyring)));
        self.add_edits("system", edits);
        Ok(())
    }

    pub(super) fn add_rpm(&mut self, recipe: &Recipe, base: &RpmBase) -> Result<(), BuildError> {
        let path = match &base.keyring {
            Some(file) => sources::inside(&self.beside(""), file)?,
            None => rpm::keys_of(&base.release),
        };
        let keys = match read::bounded(&path, MOST_RECIPE) {
            Err(error) if base.keyring.is_none() && error.kind() == ErrorKind::NotFound => {
                let package = rpm::ALL_KEYS_PACKAGE;
                return Err(BuildError::NoKeyring { path, package });
            }
            bytes => bytes.map_err(|source| BuildError::io("read", &path, source))?,
        };
        let tree = rpm::tree(recipe, base, (self.arch, self.epoch));
        let value = json!({
            "config": tree.config,
            "env": tree.env,
            "keys": digest::of_bytes(&keys),
            "script": rpm::INSTALL,
        });
        let release = format!("{} {}", base.release.name(), base.release.version());
        self.add("base", &value, Action::Rpm(Box::new(RpmTree { tree, keys, release })));
        self.add_edits("system", sources::given(rpm::files(recipe, base)));
        Ok(())
    }

    /// Adds the step that unpacks a tar archive: a file, or one to be fetched.
    pub(super) fn add_tar(&mut self, base: &TarBase) -> Result<(), BuildError> {
        if let Some((url, digest)) = base.address() {
            let wanted = Wanted::new(url, digest.clone())?;
            self.add("base", &json!({ "archive": digest }), Action::Fetched(wanted));
            return Ok(());
        }
        let path = self.beside(&base.from);
        self.add_archive(BundleFile::open(&path).map_err(BuildError::Bundle)?)?;
        match (&base.sha256, self.steps.last().and_then(Step::archive)) {
            (Some(expected), Some(found)) if *expected != found => {
                let expected = expected.clone();
                Err(BuildError::Bundle(BundleError::Unlike {
                    from: base.from.clone(),
                    expected,
                    found,
                }))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn add_archive(&mut self, file: BundleFile) -> Result<(), BuildError> {
        let digest = file.digest(&mut |_| !kiln_host::signal::interrupted());
        let digest = digest.map_err(BuildError::Bundle)?;
        self.add("base", &json!({ "archive": digest }), Action::Archive(Box::new(file)));
        Ok(())
    }

    /// Adds the step that takes the tree of a disk image.
    pub(super) fn add_image(&mut self, name: &str) -> Result<(), BuildError> {
        let (path, digest) = if name.contains('/') {
            let path = self.beside(name);
            let digest = digest::of_file(&path, &mut |_| !kiln_host::signal::interrupted());
            let digest = digest.map_err(|source| match source.kind() {
                std::io::ErrorKind::Interrupted => BuildError::Interrupted,
                _ => BuildError::io("read", &path, source),
            })?;
            (path, digest)
        } else {
            let image = Store::open(self.store)?.find(name)?;
            (image.path, image.manifest.digest)
        };
        self.add("base", &json!({ "image": digest, "archive": digest }), Action::Image(path));
        Ok(())
    }
}
