// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `block-device-*.yaml`: how an element wants the disk, and what of that Kiln makes.
//!
//! A configuration is a tree or a list of nodes that name each other. [`graph`] makes the list
//! of a tree; [`Disk::of`] reads it as partitions that Kiln's assembler makes.

use kiln_disk::assemble::{Holds, NewTable, Part, Volume, VolumeKind};
use kiln_spec::Bytes;
use serde_json::{Map, Value};

use super::deps::Resolved;
use super::find::Element;
use crate::element::ElementError;

/// The kinds of nodes.
const KINDS: [&str; 6] = ["local_loop", "partitioning", "lvm", "mkfs", "mount", "fstab"];
/// A disk's size, where only what is wrong is looked for.
const ANY_SIZE: Bytes = Bytes::from_gib(1024);
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

/// The disk that a configuration asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// How large it is, if that is said.
    pub size: Option<Bytes>,
    /// The kind of table.
    pub table: NewTable,
    /// The label of the root file system, if that is said.
    pub label: Option<String>,
    /// What the root file system is.
    pub filesystem: VolumeKind,
    nodes: Vec<Node>,
    partitioning: usize,
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
        let disk = Self::read(nodes).map_err(|why| element.content(file, why))?;
        // Sizes in percent need that of the disk; whatever else is wrong is told now.
        disk.parts(disk.size.unwrap_or(ANY_SIZE)).map_err(|why| element.content(file, why))?;
        Ok(disk)
    }

    fn read(nodes: &[Node]) -> Result<Self, String> {
        let all = |kind: &'static str| {
            nodes.iter().enumerate().filter(move |(_, node)| node.kind == kind)
        };
        let (loops, tables): (Vec<_>, Vec<_>) =
            (all("local_loop").collect(), all("partitioning").collect());
        if all("lvm").next().is_some() {
            return Err("kiln makes no logical volumes (`lvm`)".into());
        }
        let ([(_, image)], [(partitioning, table)]) = (&loops[..], &tables[..]) else {
            return Err("kiln makes one disk with one partition table".into());
        };
        if table.text("base") != image.text("name") {
            return Err("the partition table is not on the disk".into());
        }
        if image.values.get("block_size").is_some_and(|size| number(size) != Some(512)) {
            return Err("kiln makes disks with sectors of 512 bytes".into());
        }
        let table_kind = match table.text("label") {
            Some("mbr") => NewTable::Mbr,
            Some("gpt") => NewTable::Gpt,
            _ => return Err("`label` of `partitioning` is `mbr` or `gpt`".into()),
        };
        let root = nodes.iter().find_map(|node| {
            let root = node.kind == "mount" && node.text("mount_point") == Some("/");
            nodes.iter().find(|made| root && made.text("name") == node.text("base"))
        });
        Ok(Self {
            size: image.values.get("size").map(absolute).transpose()?,
            table: table_kind,
            label: root.and_then(|root| root.text("label")).map(str::to_owned),
            // Others are refused with the partition that has them.
            filesystem: root.and_then(|root| root.text("type")).and_then(kind).unwrap_or_default(),
            nodes: nodes.to_vec(),
            partitioning: *partitioning,
        })
    }

    /// Returns the partitions on a disk of `size`, which percentages are of.
    ///
    /// # Errors
    ///
    /// Says what Kiln does not make.
    pub fn parts(&self, size: Bytes) -> Result<Vec<Part>, String> {
        let list: Vec<_> = self.nodes[self.partitioning].partitions().collect();
        // As there: the table's own, and each partition, are taken off before the next percentage.
        let mut free = size.0.saturating_sub(match self.table {
            NewTable::Gpt => 2 << 20,
            NewTable::Mbr => 1 << 20,
        });
        let mut parts = Vec::new();
        for (number, part) in list.iter().enumerate() {
            let name = text_of(part, "name").unwrap_or_default().to_owned();
            let wanted = part.get("size").ok_or_else(|| format!("`{name}` needs a `size`"))?;
            let percent = wanted.as_str().and_then(|text| text.strip_suffix('%'));
            let own = match percent {
                None => absolute(wanted)?,
                Some(percent) => {
                    let share = decimal(percent).ok_or_else(|| wrong_size(wanted))?;
                    scale(share, free, 100).ok_or_else(|| wrong_size(wanted))?
                }
            };
            let rest = number + 1 == list.len() && percent == Some("100");
            free = free.saturating_sub(own.0);
            // Partitions begin and end at whole MiB.
            let own = if percent.is_some() { Bytes(own.0 >> 20 << 20) } else { own };
            let holds = self.holds(part, &name)?;
            parts.push(Part { name, size: (!rest).then_some(own), holds });
        }
        if !parts.iter().any(|part| part.holds == Holds::Root) {
            return Err("nothing is mounted at `/`".into());
        }
        Ok(parts)
    }

    fn holds(&self, part: &Map<String, Value>, name: &str) -> Result<Holds, String> {
        let on = |kind: &str, base: &str| {
            self.nodes.iter().find(|node| node.kind == kind && node.text("base") == Some(base))
        };
        let Some(mkfs) = on("mkfs", name) else {
            return match text_of(part, "type").unwrap_or_default() {
                "EF02" | "ef02" => Ok(Holds::BiosBoot),
                _ => Err(format!("kiln makes no partition without a file system (`{name}`)")),
            };
        };
        if mkfs.values.contains_key("uuid") {
            return Err(format!("kiln numbers file systems itself (`uuid` of `{name}`)"));
        }
        let word = mkfs.text("type").unwrap_or("ext4");
        let mount = mkfs.text("name").and_then(|name| on("mount", name));
        let point = mount.and_then(|mount| mount.text("mount_point"));
        let fstab = mount.and_then(|mount| on("fstab", mount.text("name")?));
        if word == "swap" {
            return Ok(Holds::Swap);
        }
        let Some(point) = point else {
            return Err(format!("kiln makes no partition that nothing mounts (`{name}`)"));
        };
        let kind = match (kind(word), point) {
            (Some(VolumeKind::Vfat), "/boot/efi") => return Ok(Holds::Esp),
            (None | Some(VolumeKind::Vfat), "/") => {
                return Err(format!("{} cannot be the root file system", show(word)));
            }
            (Some(_), "/") => return Ok(Holds::Root),
            (Some(kind), _) => kind,
            (None, _) => {
                let word = show(word);
                return Err(format!("kiln makes ext4, XFS, btrfs and FAT, not {word} (`{name}`)"));
            }
        };
        Ok(Holds::Volume(Volume {
            mount: point.to_owned(),
            kind,
            label: mkfs.text("label").map(str::to_owned),
            options: fstab.and_then(|node| node.text("options")).map(str::to_owned),
        }))
    }
}

fn kind(word: &str) -> Option<VolumeKind> {
    match word {
        "ext4" => Some(VolumeKind::Ext4),
        "vfat" | "fat" => Some(VolumeKind::Vfat),
        "xfs" => Some(VolumeKind::Xfs),
        "btrfs" => Some(VolumeKind::Btrfs),
        _ => None,
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
        let disk = Disk::read(&nodes)?;
        disk.parts(disk.size.unwrap_or(ANY_SIZE)).map(|_| disk)
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
    fn partitions_come_in_their_order_with_their_sizes() {
        let disk = disk(EFI).unwrap();
        assert_eq!(disk.size, Some(Bytes::from_gib(10)));
        assert_eq!((disk.table, disk.label.as_deref()), (NewTable::Gpt, Some("top")));
        let shown = |text: &str, size| {
            let parts = self::disk(text).unwrap().parts(size).unwrap();
            let one = |part: &Part| {
                let size = part.size.map_or("rest".into(), |size| (size.0 >> 20).to_string());
                let holds = match &part.holds {
                    Holds::Volume(volume) => format!("{volume:?}"),
                    other => format!("{other:?}"),
                };
                format!("{} {size} {holds}", part.name)
            };
            parts.iter().map(one).collect::<Vec<_>>()
        };
        // A tenth of what is left: of 10 GiB less 2, 550 and 8 MiB.
        let wanted = ["ESP 550 Esp", "BSP 8 BiosBoot", "swap 968 Swap", "root rest Root"];
        assert_eq!(shown(EFI, Bytes::from_gib(10)), wanted);
        let more = EFI.replace("100%", "50%")
            + "      - {name: v, size: 100%, mkfs: {type: ext4, label: d, \
               mount: {mount_point: /var, fstab: {options: noatime}}}}\n";
        let shown = shown(&more, Bytes::from_gib(10));
        assert_eq!(shown[3], "root 4356 Root");
        let volume = "v rest Volume { mount: \"/var\", kind: Ext4, label: Some(\"d\"), \
                      options: Some(\"noatime\") }";
        assert_eq!(shown[4], volume);
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
        assert_eq!(other("label: top", "type: ntfs"), "ntfs cannot be the root file system");
        assert_eq!(
            other("type: vfat", "type: zfs"),
            "kiln makes ext4, XFS, btrfs and FAT, not zfs (`ESP`)"
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
