// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other UUIDs, as e2fsck and dumpe2fs see them.

use kiln_testkit::run;

use crate::image::{Image, tools};

const UUID: [u8; 16] = [0xab; 16];

#[test]
fn a_file_system_gets_another_uuid_where_its_checksums_allow_it() {
    if !tools() {
        return;
    }
    for (features, possible) in [
        ("metadata_csum,metadata_csum_seed,64bit", true),
        ("metadata_csum,^metadata_csum_seed,64bit", false),
        ("^metadata_csum,uninit_bg,^64bit", true),
        ("^metadata_csum,^uninit_bg,^64bit", true),
    ] {
        let image = Image::new(&["-t", "ext4", "-O", features]);
        let mut fs = image.edit();
        let old = fs.uuid();
        assert_eq!(fs.set_uuid(UUID).expect("it is open for writing"), possible, "{features}");
        assert_eq!(fs.uuid() != old, possible);
        fs.close().expect("written");
        image.check();
        let shown = run(&["dumpe2fs", "-h", image.path().to_str().expect("a path")]).success();
        let shown = shown.stdout.contains("abababab-abab-abab-abab-abababababab");
        assert_eq!(shown, possible, "{features}");
    }
}
