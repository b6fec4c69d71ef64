// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `block-device-*.yaml`: how an element wants the disk, and what of that Kiln makes.
//!
//! A configuration is a tree or a list of nodes that name each other. [`graph`] makes the list
//! of a tree; [`Disk::of`] reads it as a disk of Kiln's: one partition for `/`, one for the
//! firmware, one for swap. Kiln's disk has room for both kinds of firmware in any case.

use kiln_spec::Bytes;
use serde_json::{Map, Value};

use super::deps::Resolved;
use super::find::Element;
use crate::element::ElementError;

/// The kinds of nodes.
const KINDS: [&str; 6] = ["local_loop", "partitioning", "lvm", "mkfs", "mount", "fstab"];
/// How deep nodes lie in each other.
const DEPTH_MOST: usize = 32;
/// Units of sizes. Those without an `i` are powers of ten.
const UNITS: [(&str, u64); 14] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("K", 1_000),
    ("B", 1),
    ("", 1),
];

/// A node: its kind, and its values with `name` and `base` filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `mkfs`, say.
    pub kind: String,
    /// Its keys and values.
    pub values: Map<String, Value>,
}

/// The kind of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The old kind.
    Mbr,
    /// A GUID partition table.
    Gpt,
}

/// The disk that a configuration asks for, as far as Kiln makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// How large it is, if that is said.
    pub size: Option<Bytes>,
    /// The kind of table, if that is said.
    pub table: Option<Table>,
    /// How large the EFI system partition is, if there is to be one.
    pub esp: Option<Bytes>,
    /// How large the swap partition is, if there is to be one.
    pub swap: Option<Bytes>,
    /// The label of the root file system, if that is said.
    pub label: Option<String>,
}

/// Finds the configuration among elements: for the processor if there is one, else the default.
/// Returns the element, the file and its text.
///
/// # Errors
///
/// [`ElementError::TwoProviders`] if two elements have one; what reading says.
pub fn find(
    resolved: &Resolved,
    arch: &str,
) -> Result<Option<(Element, String, String)>, ElementError> {
    let own = match arch {
        "ppc64le" | "ppc64el" => "block-device-ppc64el.yaml".to_owned(),
        arch => format!("block-device-{arch}.yaml"),
    };
    let mut found: Option<(Element, String, String)> = None;
    for element in &resolved.elements {
        for file in [own.as_str(), "block-device-default.yaml"] {
            let Some(text) = element.read(file)? else { continue };
            if let Some((first, ..)) = &found {
                return Err(ElementError::TwoProviders {
                    provided: "block-device".into(),
                    first: first.name.clone(),
                    second: element.name.clone(),
                });
            }
            found = Some((element.clone(), file.to_owned(), text));
            break;
        }
    }
    Ok(found)
}

/// Reads a configuration as a list of nodes.
///
/// # Errors
///
/// [`ElementError::Yaml`] and [`ElementError::Content`], with `element` and `file`.
pub fn graph(element: &Element, file: &str, text: &str) -> Result<Vec<Node>, ElementError> {
    let entries: Vec<Map<String, Value>> =
        kiln_spec::yaml::from_str(text, file).map_err(|source| ElementError::Yaml {
            element: element.name.clone(),
            file: file.to_owned(),
            source: Box::new(source),
        })?;
    let mut nodes = Vec::new();
    for entry in entries {
        let mut keys = entry.into_iter();
        let (Some((kind, values)), None) = (keys.next(), keys.next()) else {
            return Err(element.content(file, "each entry has one key, which says its kind"));
        };
        if !KINDS.contains(&kind.as_str()) {
            return Err(element.content(file, format!("`{}` is no kind of node", show(&kind))));
        }
        flatten(&kind, values, None, 0, &mut nodes).map_err(|why| element.content(file, why))?;
    }
    let mut names: Vec<_> = nodes.iter().flat_map(Node::names).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(element.content(file, format!("two nodes are called `{}`", show(pair[0]))));
    }
    Ok(nodes)
}

fn show(text: &str) -> impl std::fmt::Display + '_ {
    text.escape_debug()
}

fn flatten(
    kind: &str,
    values: Value,
    parent: Option<&str>,
    depth: usize,
    nodes: &mut Vec<Node>,
) -> Result<(), String> {
    let Value::Object(mut values) = values else {
        return Err(format!("`{kind}` needs keys with values"));
    };
    if depth == DEPTH_MOST {
        return Err(format!("more than {DEPTH_MOST} nodes in each other"));
    }
    if let (None, Some(parent)) = (values.get("base"), parent) {
        values.insert("base".into(), parent.into());
    }
    let base = values.get("base").cloned();
    if !values.contains_key("name") {
        let Some(Value::String(base)) = &base else {
            return Err(format!("`{kind}` needs a `name`"));
        };
        values.insert("name".into(), format!("{kind}_{base}").into());
    }
    let name = text_of(&values, "name").unwrap_or_default().to_owned();
    let mut own = Map::new();
    for (key, value) in values {
        if key == "partitions" {
            let parts = partitions(value, base.as_ref(), depth, nodes)?;
            own.insert(key, parts.into());
        } else if KINDS.contains(&key.as_str()) {
            flatten(&key, value, Some(&name), depth + 1, nodes)?;
        } else {
            own.insert(key, value);
        }
    }
    nodes.push(Node { kind: kind.to_owned(), values: own });
    Ok(())
}

fn partitions(
    value: Value,
    base: Option<&Value>,
    depth: usize,
    nodes: &mut Vec<Node>,
) -> Result<Vec<Value>, String> {
    let Value::Array(list) = value else { return Err("`partitions` is a list".into()) };
    let mut found = Vec::new();
    for entry in list {
        let Value::Object(entry) = entry else {
            return Err("a partition needs keys with values".into());
        };
        let name = text_of(&entry, "name").ok_or("a partition needs a `name`")?.to_owned();
        let mut own = Map::new();
        for (key, value) in entry {
            if KINDS.contains(&key.as_str()) {
                flatten(&key, value, Some(&name), depth + 1, nodes)?;
            } else {
                own.insert(key, value);
            }
        }
        let base = base.ok_or("`partitioning` needs a `base`")?;
        own.insert("base".into(), base.clone());
        found.push(Value::Object(own));
    }
    Ok(found)
}

fn text_of<'a>(values: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    values.get(key).and_then(Value::as_str)
}

impl Node {
    fn text(&self, key: &str) -> Option<&str> {
        text_of(&self.values, key)
    }

    /// The names that other nodes may call this one by.
    fn names(&self) -> Vec<&str> {
        let own = (self.kind != "partitioning" && self.kind != "lvm").then(|| self.text("name"));
        let parts = self.partitions().filter_map(|part| text_of(part, "name"));
        own.flatten().into_iter().chain(parts).collect()
    }

    fn partitions(&self) -> impl Iterator<Item = &Map<String, Value>> {
        let list = self.values.get("partitions").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object)
    }
}

impl Disk {
    /// Reads a list of nodes as a disk that Kiln makes.
    ///
    /// # Errors
    ///
    /// [`ElementError::Content`] for what is wrong, and for what Kiln does not make.
    pub fn of(element: &Element, file: &str, nodes: &[Node]) -> Result<Self, ElementError> {
        Self::read(nodes).map_err(|why| element.content(file, why))
    }

    fn read(nodes: &[Node]) -> Result<Self, String> {
        let mut disk = Self::default();
        let loops: Vec<_> = nodes.iter().filter(|node| node.kind == "local_loop").collect();
        let tables: Vec<_> = nodes.iter().filter(|node| node.kind == "partitioning").collect();
        if nodes.iter().any(|node| node.kind == "lvm") {
            return Err("kiln makes no logical volumes (`lvm`)".into());
        }
        let ([image], [table]) = (&loops[..], &tables[..]) else {
            return Err("kiln makes one disk with one partition table".into());
        };
        disk.size = image.values.get("size").map(absolute).transpose()?;
        if image.values.get("block_size").is_some_and(|size| number(size) != Some(512)) {
            return Err("kiln makes disks with sectors of 512 bytes".into());
        }
        if table.text("base") != image.text("name") {
            return Err("the partition table is not on the disk".into());
        }
        disk.table = Some(match table.text("label") {
            Some("mbr") => Table::Mbr,
            Some("gpt") => Table::Gpt,
            _ => return Err("`label` of `partitioning` is `mbr` or `gpt`".into()),
        });
        for part in table.partitions() {
            disk.add(part, nodes)?;
        }
        Ok(disk)
    }

    fn add(&mut self, part: &Map<String, Value>, nodes: &[Node]) -> Result<(), String> {
        let name = text_of(part, "name").unwrap_or_default();
        let on = |kind: &str, base: &str| {
            nodes.iter().find(|node| node.kind == kind && node.text("base") == Some(base))
        };
        let Some(mkfs) = on("mkfs", name) else {
            // What GRUB needs on a GPT; Kiln makes its own.
            let kind = text_of(part, "type").unwrap_or_default();
            return match kind {
                "EF02" | "ef02" => Ok(()),
                _ => Err(format!("kiln makes no partition without a file system (`{name}`)")),
            };
        };
        let kind = mkfs.text("type").unwrap_or("ext4");
        let point = mkfs.text("name").and_then(|name| on("mount", name)?.text("mount_point"));
        match (kind, point) {
            ("ext4", Some("/")) => {
                self.label = mkfs.text("label").map(str::to_owned);
                Ok(())
            }
            ("vfat" | "fat", Some("/boot/efi")) => {
                self.esp = Some(self.size_of(part)?);
                Ok(())
            }
            ("swap", _) => {
                self.swap = Some(self.size_of(part)?);
                Ok(())
            }
            (other, Some("/")) => Err(format!("kiln makes the root file system ext4, not {other}")),
            (_, Some(point)) => Err(format!("kiln makes no partition for `{}`", show(point))),
            (_, None) => Err(format!("kiln makes no partition that nothing mounts (`{name}`)")),
        }
    }

    fn size_of(&self, part: &Map<String, Value>) -> Result<Bytes, String> {
        let size = part.get("size").ok_or("a partition needs a `size`")?;
        let Some(percent) = size.as_str().and_then(|text| text.strip_suffix('%')) else {
            return absolute(size);
        };
        let of = self.size.ok_or("a size in percent needs the disk's `size`")?;
        let share = decimal(percent).ok_or_else(|| wrong_size(size))?;
        scale(share, of.0, 100).ok_or_else(|| wrong_size(size))
    }
}

fn wrong_size(size: &Value) -> String {
    format!("`{}` is no size like `8MiB`", show(size.as_str().unwrap_or("?")))
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Reads a size with its unit; a number alone is bytes.
fn absolute(size: &Value) -> Result<Bytes, String> {
    if let Some(bytes) = size.as_u64() {
        return Ok(Bytes(bytes));
    }
    let text = size.as_str().unwrap_or_default();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (count, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, factor)| scale(decimal(count)?, *factor, 1))
        .ok_or_else(|| wrong_size(size))
}

/// Reads `12.5` as 12 500 000 millionths; nothing at all as one.
fn decimal(text: &str) -> Option<u128> {
    let text = if text.is_empty() { "1" } else { text };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() > 18 || part.len() > 6 || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let digits = format!("{whole}{part:0<6}");
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Returns `millionths` of `unit` by `by`, rounded down.
fn scale(millionths: u128, unit: u64, by: u128) -> Option<Bytes> {
    let bytes = millionths.checked_mul(u128::from(unit))? / (1_000_000 * by);
    u64::try_from(bytes).ok().map(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Result<Disk, String> {
        let element = Element { name: "e".into(), path: "/e".into() };
        let nodes = graph(&element, "f", text).map_err(|error| error.to_string())?;
        Disk::read(&nodes)
    }

    const EFI: &str = "
- local_loop: {name: image0, size: 10GiB}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: ESP, type: EF00, size: 550MiB, mkfs: {type: vfat, mount: {mount_point: /boot/efi}}}
      - {name: BSP, type: EF02, size: 8MiB}
      - {name: swap, size: 10%, mkfs: {type: swap, mount: {mount_point: none}}}
      - {name: root, size: 100%, mkfs: {label: top, mount: {mount_point: /, fstab: {}}}}
";

    #[test]
    fn a_disk_of_the_kind_that_kiln_makes_is_read() {
        let disk = disk(EFI).unwrap();
        assert_eq!(disk.size, Some(Bytes::from_gib(10)));
        assert_eq!(disk.esp, Some(Bytes::from_mib(550)));
        assert_eq!(disk.swap, Some(Bytes::from_gib(1)));
        assert_eq!((disk.table, disk.label.as_deref()), (Some(Table::Gpt), Some("top")));
    }

    #[test]
    fn sizes_are_those_of_diskimage_builder() {
        let bytes = |text: &str| absolute(&Value::from(text)).map(|bytes| bytes.0);
        assert_eq!(bytes("8MiB"), Ok(8 << 20));
        assert_eq!(bytes("1.5G"), Ok(1_500_000_000));
        assert_eq!(bytes("1 KB"), Ok(1000));
        assert_eq!(bytes("42"), Ok(42));
        for text in ["-1", "1QB", "1e9", "1.2.3G", "99999999999999999TiB", "."] {
            assert_eq!(bytes(text), Err(format!("`{text}` is no size like `8MiB`")));
        }
    }

    #[test]
    fn what_kiln_does_not_make_is_told() {
        let other = |from: &str, to: &str| disk(&EFI.replace(from, to)).unwrap_err();
        assert_eq!(
            other("label: top", "type: xfs"),
            "kiln makes the root file system ext4, not xfs"
        );
        assert_eq!(
            other("mount_point: /boot/efi", "mount_point: /srv"),
            "kiln makes no partition for `/srv`"
        );
        assert_eq!(
            other("10GiB", "1GiB, block_size: 4096"),
            "kiln makes disks with sectors of 512 bytes"
        );
        assert_eq!(
            other("type: EF02", "type: '8300'"),
            "kiln makes no partition without a file system (`BSP`)"
        );
        assert_eq!(other("base: image0", "base: image1"), "the partition table is not on the disk");
        let lvm = format!("{EFI}- lvm: {{name: l, base: [root]}}\n");
        assert_eq!(disk(&lvm).unwrap_err(), "kiln makes no logical volumes (`lvm`)");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, why) in [
            ("- a: {}\n", "`a` is no kind of node"),
            ("- {mkfs: {}, mount: {}}\n", "each entry has one key"),
            ("- mkfs: x\n", "`mkfs` needs keys with values"),
            ("- mkfs: {type: ext4}\n", "`mkfs` needs a `name`"),
            ("- local_loop: {name: a}\n- mkfs: {name: a, base: b}\n", "two nodes are called `a`"),
            ("- partitioning: {name: p, partitions: [{name: r}]}\n", "needs a `base`"),
            ("- partitioning: {name: p, base: b, partitions: [{}]}\n", "needs a `name`"),
        ] {
            let error = disk(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let deep = format!("- mkfs: {}x{}\n", "{base: b, mount: ".repeat(40), "}".repeat(40));
        assert!(disk(&deep).is_err());
    }
}
