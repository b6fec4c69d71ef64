// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds libext2fs and libcom_err of e2fsprogs, 1.47 or later.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for library in ["ext2fs", "com_err"] {
        let found = pkg_config::Config::new().atleast_version("1.47").probe(library);
        if let Err(error) = found {
            // A build script can only say so; `make setup` installs libext2fs-dev.
            println!("cargo:warning=package libext2fs-dev (1.47 or later) is needed: {error}");
            std::process::exit(1);
        }
    }
}
