// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What to undo after a kill.
//!
//! One file a job: lines of JSON, each a thing that would have to be undone, written before the
//! thing is done. The job holds a lock on its file while it lives; a file that nobody holds is
//! the remains of a killed job, and the next `kiln` undoes it, last line first.
//!
//! **Invariant:** a line is whole or it is not there: a torn last line (the kill came while it
//! was written) belongs to a step that had not begun, and is left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lock;

/// Why the journal could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("could not use the journal `{}`", path.display())]
pub struct JournalError {
    /// The journal's file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// The journal of one job under way.
#[derive(Debug)]
pub struct Journal<T> {
    path: PathBuf,
    file: File,
    undo: Vec<T>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Begins a journal in `folder`, under a name that no other job has. Nothing is on disk
    /// that would need undoing until the first [`Self::before`].
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn begin(folder: &Path, id: &str) -> Result<Self, JournalError> {
        let path = folder.join(format!("{id}.journal"));
        let error = |source| JournalError { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(error)?;
        file.lock().map_err(error)?;
        Ok(Self { path, file, undo: Vec::new() })
    }

    /// Records how to undo a step, before the step is done.
    ///
    /// # Errors
    ///
    /// [`JournalError`]: then the step must not be done.
    pub fn before(&mut self, undo: T) -> Result<(), JournalError> {
        let error = |source| JournalError { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&undo).map_err(|e| error(e.into()))?;
        line.push(b'\n');
        // One write: after a kill the line is there or it is not. The kernel keeps it when the
        // process dies; only a crash of the whole machine could lose it.
        self.file.write_all(&line).map_err(error)?;
        self.undo.push(undo);
        Ok(())
    }

    /// Ends the job: nothing is to be undone any more.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the file cannot be removed.
    pub fn commit(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path)
            .map_err(|source| JournalError { path: self.path.clone(), source })
    }

    /// Returns what is to be undone, the last step first. The file stays until [`Self::commit`].
    #[must_use]
    pub fn to_undo(&self) -> Vec<&T> {
        self.undo.iter().rev().collect()
    }
}

/// The remains of a killed job, locked for us.
#[derive(Debug)]
pub struct Remains<T> {
    path: PathBuf,
    _lock: File,
    undo: Vec<T>,
    kind: PhantomData<T>,
}

impl<T: DeserializeOwned> Remains<T> {
    /// Returns what is to be undone, the last step first.
    pub fn to_undo(&self) -> impl Iterator<Item = &T> {
        self.undo.iter().rev()
    }

    /// Forgets the job: all of it was undone.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the file cannot be removed.
    pub fn done(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path)
            .map_err(|source| JournalError { path: self.path.clone(), source })
    }
}

/// Finds the killed jobs in `folder`: journals that no living process holds.
///
/// # Errors
///
/// [`JournalError`] if the folder or a journal cannot be read. A folder that is not there holds
/// none.
pub fn remains<T: DeserializeOwned>(folder: &Path) -> Result<Vec<Remains<T>>, JournalError> {
    let error = |source| JournalError { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(error)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|e| e == "journal") {
            found.extend(remains_of(path)?);
        }
    }
    Ok(found)
}

fn remains_of<T: DeserializeOwned>(path: PathBuf) -> Result<Option<Remains<T>>, JournalError> {
    let error = |source| JournalError { path: path.clone(), source };
    let file = match File::open(&path) {
        // Its job ended between the listing and now.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(error)?,
    };
    if !lock::take(&file).map_err(error)? {
        return Ok(None);
    }
    // The job may have ended, or another `kiln` may have undone it, before we got the lock.
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(error)?;
    let undo = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(serde_json::from_str)
        .collect::<Result<Vec<T>, _>>()
        .map_err(|e| error(e.into()))?;
    Ok(Some(Remains { path, _lock: file, undo, kind: PhantomData }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_a_dead_job_left_to_a_process_it_began_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.journal");
        fs::write(&path, "\"whole\"\n").unwrap();
        // It takes the lock and ends; what it began has it for a moment more, as between fork and exec.
        let script = "exec 9<\"$0\"; flock 9; (echo; exec sleep 0.3) & exit";
        #[expect(clippy::disallowed_methods, reason = "a process that leaves another is needed")]
        let mut owner = std::process::Command::new("sh")
            .args(["-c", script, &path.display().to_string()])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // The line comes from what it began: it has the lock by now.
        io::Read::read_exact(&mut owner.stdout.take().unwrap(), &mut [0]).unwrap();
        owner.wait().unwrap();
        assert!(File::open(&path).unwrap().try_lock().is_err(), "it is locked");
        assert_eq!(remains::<String>(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_living_job_has_no_remains_and_a_dead_one_has_them_in_reverse() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = Journal::<String>::begin(dir.path(), "j1").unwrap();
        job.before("first".into()).unwrap();
        job.before("second".into()).unwrap();
        assert!(remains::<String>(dir.path()).unwrap().is_empty());
        drop(job);
        let found = remains::<String>(dir.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_undo().collect::<Vec<_>>(), ["second", "first"]);
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("j.journal"), "\"whole\"\n\"to").unwrap();
        let found = remains::<String>(dir.path()).unwrap();
        assert_eq!(found[0].to_undo().collect::<Vec<_>>(), ["whole"]);
    }

    #[test]
    fn a_committed_job_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = Journal::<String>::begin(dir.path(), "j1").unwrap();
        job.before("first".into()).unwrap();
        job.commit().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
