// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder for a test's files, and tools that work on them.

use std::path::PathBuf;

use crate::{Output, run};

/// A folder that goes with all that is in it when the test ends.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Makes a folder.
    ///
    /// # Panics
    ///
    /// If the host says no.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes something on the disk")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Returns the path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the path of a file in it, as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Returns the contents of a file in it.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file of the folder")
    }

    /// Runs a program with arguments, parted by blanks. What follows an `@` in one is a file in
    /// the folder.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn try_run(&self, words: &str) -> Output {
        let words: Vec<String> = words
            .split_whitespace()
            .map(|word| match word.split_once('@') {
                Some((before, name)) => format!("{before}{}", self.text(name)),
                None => word.to_owned(),
            })
            .collect();
        run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a program as [`Folder::try_run`], and returns what it wrote.
    ///
    /// # Panics
    ///
    /// If it fails.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        self.try_run(words).success().stdout
    }
}
