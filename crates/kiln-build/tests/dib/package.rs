// SPDX-License-Identifier: Apache-2.0 OR MIT
//! diskimage-builder's package, from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln_build::element::dib::Shelf;
use kiln_testkit::{need, need_program, run, run_with};

/// The version whose elements Kiln is compared with.
const VERSION: &str = "3.43.0";

/// The package, unpacked.
pub(crate) struct Package {
    home: PathBuf,
}

/// Returns the package; `None`, counted as skipped, where it cannot be had.
pub(crate) fn package() -> Option<&'static Package> {
    static PACKAGE: OnceLock<Option<Package>> = OnceLock::new();
    if !need_program("python3") || !need_program("bash") {
        return None;
    }
    let package = PACKAGE.get_or_init(install);
    need(package.is_some(), "diskimage-builder from PyPI").then_some(package.as_ref()?)
}

/// Has pip install the package beside the tests, once for all their runs.
fn install() -> Option<Package> {
    let temp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = temp.join(format!("dib-{VERSION}"));
    if !home.is_dir() {
        let fresh = tempfile::tempdir_in(temp).expect("a folder beside the tests");
        let target = fresh.path().join("dib");
        let wanted = format!("diskimage-builder=={VERSION}");
        let target_text = target.to_str().expect("UTF-8");
        let pip = ["python3", "-m", "pip", "install", "-q", "--target", target_text, &wanted];
        let out = run(&pip);
        if out.code != 0 {
            return None;
        }
        // Another test program may have been faster.
        let _ = fs::rename(&target, &home);
    }
    home.join("diskimage_builder").is_dir().then_some(Package { home })
}

impl Package {
    /// Returns the path of something in the package.
    pub(crate) fn path(&self, inside: &str) -> String {
        let path = self.home.join("diskimage_builder").join(inside);
        path.to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn shelf(&self) -> Shelf {
        Shelf::open(&[self.path("elements").into()]).expect("the package has elements")
    }

    /// Runs a script of Python with `input` as JSON in the file that is its argument; returns
    /// what it prints, read as JSON.
    pub(crate) fn python(&self, script: &str, input: &serde_json::Value) -> serde_json::Value {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), input.to_string()).expect("it can be written");
        let (file, home) = (file.path().to_str().expect("UTF-8"), self.home.to_str());
        let envs = [
            ("PYTHONPATH", home.expect("UTF-8")),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ];
        let elements = self.path("elements");
        let out = run_with(&["python3", "-c", script, file, &elements], &envs).success();
        serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", out.stderr))
    }
}
