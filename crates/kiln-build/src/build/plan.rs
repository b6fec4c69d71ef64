// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is to be built, as a value, and its digest.

use std::path::Path;

use kiln_spec::{Arch, Digest, Recipe};
use serde_json::json;

use crate::BuildError;
use crate::base::GuestFile;
use crate::base::debian;
use crate::digest;

/// Raised whenever the same plan makes another image: then no older image answers a recipe.
const FORMAT: u32 = 1;

/// What is to be built.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) arch: Arch,
    pub(super) files: Vec<GuestFile>,
    /// The digest of all that shapes the image.
    pub(super) digest: Digest,
}

impl<'a> Plan<'a> {
    pub(super) fn of(recipe: &'a Recipe) -> Result<Self, BuildError> {
        let host = Arch::native();
        let arch = recipe.arch.or(host).ok_or(BuildError::UnknownHost)?;
        if Some(arch) != host {
            return Err(BuildError::Arch { wanted: arch, host });
        }
        let files = debian::files(recipe);
        let tree = debian::tree(recipe, arch, Path::new(""));
        let whole = json!({
            "format": FORMAT,
            "recipe": recipe.canonical(arch),
            "packages": tree.packages,
            "sources": tree.sources,
            "apt": tree.apt,
            "dpkg": tree.dpkg,
            "env": tree.env,
            "scripts": debian::SCRIPTS,
            "files": files,
            "epoch": tree.epoch,
        });
        Ok(Self { recipe, arch, files, digest: digest::of_bytes(whole.to_string().as_bytes()) })
    }

    /// What the image's UUIDs are made from.
    pub(super) fn seed(&self) -> [u8; 16] {
        let hex = self.digest.hex();
        let byte = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16);
        std::array::from_fn(|n| byte(n).expect("a digest has hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(more: &str) -> Digest {
        let text = format!("kiln: 1\nname: d\nbase: {{debian: bookworm}}\n{more}");
        let recipe = Recipe::parse(&text, "r").unwrap_or_else(|e| panic!("{e}"));
        Plan::of(&recipe).unwrap().digest
    }

    #[test]
    fn the_same_recipe_written_otherwise_has_the_same_digest() {
        let native = Arch::native().unwrap();
        assert_eq!(digest_of(""), digest_of(&format!("user: debian\narch: {native}\n")));
        assert_eq!(digest_of(""), digest_of("disk: {size: 2048M}\n# a comment\n"));
    }

    #[test]
    fn each_value_changes_the_digest() {
        let others = [
            "",
            "packages: [nginx]\n",
            "user: ops\n",
            "disk: {size: 3GiB}\n",
            "memory: 1GiB\n",
            "hostname: h\n",
            "locale: de_DE.UTF-8\n",
            "timezone: Europe/Berlin\n",
            "kernel_cmdline: quiet\n",
            "files: [{path: /x, content: a}]\n",
            "files: [{path: /x, content: b}]\n",
            "files: [{path: /x, content: b, mode: 0600}]\n",
        ];
        let mut digests: Vec<_> = others.iter().map(|more| digest_of(more)).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), others.len());
    }

    #[test]
    fn another_architecture_is_refused() {
        let other = Arch::ALL.iter().find(|arch| Some(**arch) != Arch::native()).unwrap();
        let text = format!("kiln: 1\nname: d\nbase: {{debian: bookworm}}\narch: {other}\n");
        let error = Plan::of(&Recipe::parse(&text, "r").unwrap()).unwrap_err();
        let host = Arch::native().unwrap();
        assert_eq!(
            error.to_string(),
            format!("the recipe is for {other}, and this host is {host}")
        );
    }
}
