// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed build`.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use kiln_guest::seed::{Login, Seed, SeedFile};
use kiln_host::beside::{Folder, beside, folder_of};
use serde_json::json;
use uuid::Uuid;

use crate::args::seed::build::Build;
use crate::context::{Context, unix_secs};
use crate::error::unwritable;
use crate::machine::first_boot::{self, no_seed};
use crate::machine::keys;

/// The name of the image's own account, whatever that is.
const IMAGES_OWN: &str = "default";

/// Makes a seed.
pub(crate) fn run(ctx: &Context, args: &Build) -> anyhow::Result<u8> {
    let seed = seed(ctx, args)?;
    let files = seed.files().map_err(no_seed)?;
    let output = args.output.display().to_string();
    let made = if args.folder {
        folder(&args.output, &files)
    } else {
        image(&args.output, &seed.to_iso(unix_secs()).map_err(no_seed)?)
    };
    made.map_err(|source| unwritable(&format!("could not make `{output}`"), source))?;
    let (word, label) = (seed.datasource.word(), seed.datasource.volume());
    if ctx.ui.json() {
        let names: Vec<&str> = files.iter().map(|file| file.name).collect();
        ctx.ui.result(&json!({ "seed": {
            "path": output,
            "datasource": word,
            "label": (!args.folder).then_some(label),
            "instance_id": seed.instance_id,
            "hostname": seed.hostname.as_str(),
            "files": names,
        } }));
        return Ok(0);
    }
    if !args.folder {
        ctx.ui.say(format!("a drive with the label `{label}`, by which cloud-init finds it"));
    }
    ctx.ui.say(format!("instance-id: {}", seed.instance_id));
    ctx.ui.out(output);
    Ok(0)
}

fn seed(ctx: &Context, args: &Build) -> anyhow::Result<Seed> {
    let told = first_boot::told(ctx, &args.first_boot)?;
    let path = args.network_config.as_deref();
    let network = path.map(|path| first_boot::network_file(path, told.datasource)).transpose()?;
    let keys = keys::given(&args.ssh_key)?.public;
    if keys.is_empty() && told.user_data.is_none() {
        ctx.ui
            .warn("nobody can log in by this seed: there is neither `--ssh-key` nor `--user-data`");
    }
    Ok(Seed {
        datasource: told.datasource,
        instance_id: args.instance_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string()),
        hostname: args.hostname.clone(),
        fqdn: args.fqdn.clone(),
        login: Login {
            name: args.user.clone().unwrap_or_else(|| IMAGES_OWN.to_owned()),
            is_default_user: args.user.is_none(),
            ssh_keys: keys,
        },
        setup: told.setup,
        user_data: told.user_data,
        network_config: network,
        vendor_data: told.vendor_data,
    })
}

/// Makes a file that only its owner may read: user-data may hold secrets.
fn image(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes a folder that only its owner may enter.
fn folder(path: &Path, files: &[SeedFile]) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let making = Folder::beside(folder_of(path))?;
    let whole = making.path().join("seed");
    DirBuilder::new().mode(0o700).create(&whole)?;
    for file in files {
        let to = whole.join(file.name);
        fs::create_dir_all(folder_of(&to))?;
        fs::write(to, &file.bytes)?;
    }
    fs::rename(whole, path)
}
