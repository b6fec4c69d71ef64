# SPDX-License-Identifier: Apache-2.0 OR MIT
# Asks cloud-init's own code what it makes of Kiln's seeds. Reads a JSON question from the file
# that is its argument, prints a JSON answer.
import json
import logging
import os
import sys
import tempfile

import yaml
from cloudinit import dmi, helpers, util
from cloudinit.config import schema
from cloudinit.distros import ug_util
from cloudinit.handlers.cloud_config import CloudConfigPartHandler
from cloudinit.sources import DataSourceConfigDrive, DataSourceNoCloud
from cloudinit.user_data import UserDataProcessor

logging.basicConfig(level=logging.WARNING)
work = tempfile.TemporaryDirectory()
paths = helpers.Paths({"cloud_dir": work.name, "run_dir": work.name + "/run"})


class Distro:
    @staticmethod
    def get_default_user():
        return {"name": "debian", "lock_passwd": True, "sudo": ["ALL=(ALL) NOPASSWD:ALL"]}


def config_drive(folder):
    """The same of a folder as OpenStack's drive has it."""
    os.makedirs(paths.seed_dir, exist_ok=True)
    os.symlink(folder, os.path.join(paths.seed_dir, "config_drive"))
    source = DataSourceConfigDrive.DataSourceConfigDrive({}, None, paths)
    return {"found": source._get_data(), "public_keys": source.get_public_ssh_keys(), **facts(source)}


def seed_net(serial):
    """What a guest with this serial number in SMBIOS fetches."""
    os.makedirs(paths.seed_dir, exist_ok=True)
    dmi.read_dmi_data = lambda key: serial if key == "system-serial-number" else None
    found = []
    for kind in DataSourceNoCloud.DataSourceNoCloud, DataSourceNoCloud.DataSourceNoCloudNet:
        source = kind({"datasource": {"NoCloud": {"fs_label": None}}}, None, paths)
        found.append(source._get_data())
    # Without a network there is nothing; with one there is the seed.
    return {"found": found, "mode": source.dsmode, **facts(source)}


def seed(folder):
    """The datasource's own view of a folder of seed files."""
    os.makedirs(paths.seed_dir, exist_ok=True)
    link = os.path.join(paths.seed_dir, "nocloud")
    os.symlink(folder, link)
    source = DataSourceNoCloud.DataSourceNoCloud({"datasource": {"NoCloud": {"fs_label": None}}}, None, paths)
    found = source._get_data()
    return {"found": found, **facts(source)}


def facts(source):
    """What a datasource has found."""
    return {
        "metadata": source.metadata,
        "hostname": util.get_hostname_fqdn({}, source)[:2] if hasattr(source, "get_hostname") else None,
        "network": source.network_config,
        "vendor": None if source.vendordata_raw is None else util.decode_binary(source.vendordata_raw),
        "user": user(source.userdata_raw),
    }


def user(raw):
    """The parts, the merged cloud-config and the accounts."""
    handler = CloudConfigPartHandler(paths)
    parts = []
    for part in UserDataProcessor(paths).process(raw).walk():
        if part.get_content_maintype() == "multipart":
            continue
        payload = util.fully_decoded_payload(part)
        parts.append([part.get_content_type(), payload])
        if part.get_content_type() in ("text/cloud-config", "text/cloud-config-jsonp"):
            handler.handle_part(None, part.get_content_type(), part.get_filename(), payload, None, part)
    config = handler.cloud_buf or {}
    schema_errors = None
    try:
        schema.validate_cloudconfig_schema(config, schema.get_schema(), strict=True)
    except schema.SchemaValidationError as error:
        schema_errors = str(error)
    copy = json.loads(json.dumps(config, default=str))
    copy.setdefault("users", ["default"])
    users, _ = ug_util.normalize_users_groups(copy, Distro)
    name, _ = ug_util.extract_default(json.loads(json.dumps(users)))
    keys = {n: list(u.get("ssh_authorized_keys") or []) for n, u in users.items()}
    if name:
        keys[name] += config.get("ssh_authorized_keys") or []
    return {"parts": parts, "config": config, "errors": schema_errors, "users": users, "keys": keys}


def accepts(texts):
    """For each cloud-config: what the schema says against it, or null."""
    out = []
    for text in texts:
        try:
            config = yaml.safe_load(text)
            schema.validate_cloudconfig_schema(config, schema.get_schema(), strict=True)
            out.append(None)
        except Exception as error:
            out.append(str(error))
    return out


def same(pairs):
    """The pairs of texts that PyYAML does not read as the same value."""
    out = []
    for left, right in pairs:
        try:
            value = repr(yaml.safe_load(left))
        except Exception as error:
            value = None
        if right is None:
            if value is not None:
                out.append([left, right, value])
        else:
            try:
                other = repr(yaml.safe_load(right))
            except Exception as error:
                other = "not read: " + str(error)
            if value != other:
                out.append([left, right, f"{value} != {other}"])
    return out


question = json.load(open(sys.argv[1]))
answer = globals()[question["ask"]](question["about"])
print(json.dumps(answer, default=str))
