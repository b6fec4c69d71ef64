// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random edits: after each sequence the file system is in order for e2fsck, and holds for us and
//! for debugfs what a model in memory holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln_disk::fs::ext::{Access, Attrs, ExtError, ExtFs, Kind, New, Node, Time};
use kiln_testkit::{Rng, run};

use crate::image::{Image, text, tools};

/// Sequences, edits of each, and how often the file system is closed and opened on the way.
const SEQUENCES: u64 = 200;
const EDITS: usize = 30;
const SESSIONS: usize = 3;
/// How many sequences run at once.
const THREADS: u64 = 4;
const STEP: usize = 4;

const FEATURES: [&[&str]; 10] = [
    &["-t", "ext4", "-b", "4096"],
    &["-t", "ext4", "-b", "1024", "-O", "inline_data,ea_inode,large_dir"],
    &["-t", "ext4", "-b", "4096", "-I", "512", "-O", "inline_data,metadata_csum_seed,orphan_file"],
    &["-t", "ext4", "-b", "2048", "-O", "meta_bg,^resize_inode,^metadata_csum,uninit_bg"],
    &["-t", "ext4", "-b", "1024", "-O", "sparse_super2,^64bit,fast_commit"],
    &["-t", "ext4", "-b", "4096", "-O", "^has_journal,^dir_index,^flex_bg,ea_inode"],
    &["-t", "ext2", "-b", "1024", "-I", "128"],
    &["-t", "ext3", "-b", "4096", "-O", "^filetype"],
    &["-t", "ext4", "-b", "1024", "-g", "2048", "-O", "^extents,^64bit"],
    &["-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "16384"],
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    File(Vec<u8>),
    Dir(BTreeMap<String, u32>),
    Link(Vec<u8>),
    Fifo,
}

#[derive(Clone, Debug)]
struct Thing {
    what: What,
    attrs: Attrs,
    xattrs: BTreeMap<String, Vec<u8>>,
}

/// What the file system should hold, by inode.
struct Model {
    things: BTreeMap<u32, Thing>,
}

impl Model {
    fn dirs(&self) -> Vec<u32> {
        let dir = |thing: &Thing| matches!(thing.what, What::Dir(_));
        self.things.iter().filter(|(_, thing)| dir(thing)).map(|(&ino, _)| ino).collect()
    }

    fn names(&mut self, dir: u32) -> &mut BTreeMap<String, u32> {
        match &mut self.things.get_mut(&dir).expect("it is there").what {
            What::Dir(names) => names,
            _ => panic!("inode {dir} is no directory in the model"),
        }
    }

    /// Returns a random place: directory, name, inode.
    fn pick(&mut self, rng: &mut Rng) -> Option<(u32, String, u32)> {
        let mut all = Vec::new();
        for dir in self.dirs() {
            let names = self.names(dir).clone();
            all.extend(names.into_iter().map(|(name, ino)| (dir, name, ino)));
        }
        (!all.is_empty()).then(|| rng.pick(&all).clone())
    }

    fn links(&self, ino: u32) -> usize {
        let named = |thing: &Thing| match &thing.what {
            What::Dir(names) => names.values().filter(|&&at| at == ino).count(),
            _ => 0,
        };
        self.things.values().map(named).sum()
    }

    /// Takes a name away, and what has none left.
    fn forget(&mut self, dir: u32, name: &str) {
        let ino = self.names(dir).remove(name).expect("it is there");
        if self.links(ino) == 0 {
            self.things.remove(&ino);
        }
    }

    fn is_below(&self, dir: u32, top: u32) -> bool {
        let mut todo = vec![top];
        while let Some(at) = todo.pop() {
            if at == dir {
                return true;
            }
            if let Some(Thing { what: What::Dir(names), .. }) = self.things.get(&at) {
                todo.extend(names.values());
            }
        }
        false
    }
}

fn contents(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(6) {
        0 => 0,
        1 => rng.below(60),
        2 => rng.below(200),
        3 => rng.below(6000),
        4 => rng.below(100_000),
        _ => rng.below(1_500_000),
    };
    let mut bytes = rng.bytes(len);
    // Holes of several sizes.
    while rng.below(2) == 0 && !bytes.is_empty() {
        let start = rng.below(bytes.len());
        let end = (start + rng.below(600_000)).min(bytes.len());
        bytes[start..end].fill(0);
    }
    bytes
}

fn attrs(rng: &mut Rng) -> Attrs {
    let seconds = i64::try_from(rng.below(1 << 31)).expect("31 bits");
    let id = |rng: &mut Rng| u32::try_from(rng.below(1 << 20)).expect("20 bits");
    let mode = u32::try_from(rng.below(0o10_000)).expect("12 bits");
    Attrs { mode, uid: id(rng), gid: id(rng), mtime: Time { seconds, nanos: 0 } }
}

fn xattrs(rng: &mut Rng) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for _ in 0..rng.below(4) {
        let name = *rng.pick(&["user.a", "user.some.longer.name", "security.selinux", "trusted.t"]);
        let len = *rng.pick(&[0, 5, 30, 100, 250]);
        all.insert(name.to_owned(), rng.bytes(len));
    }
    if rng.below(4) == 0 {
        // u::rw,u:1000:rw,g::r,m::rw,o::r
        let acl = [
            &2_u32.to_le_bytes()[..],
            &[1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 232, 3, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255],
            &[32, 0, 4, 0, 255, 255, 255, 255],
        ];
        all.insert("system.posix_acl_access".to_owned(), acl.concat());
    }
    all
}

/// A sequence of edits on both.
struct Play<'a> {
    fs: ExtFs,
    model: &'a mut Model,
    rng: &'a mut Rng,
}

impl Play<'_> {
    fn edit(&mut self) {
        match self.rng.below(16) {
            0..=2 => self.create_file(),
            3 => self.create_dir(),
            4 => self.create_link(),
            5 => self.crowd(),
            6 | 7 => self.overwrite(),
            8 => self.truncate(),
            9 | 10 => self.rename(),
            11 => self.hard_link(),
            12 | 13 => self.remove(),
            14 => self.change(),
            _ => self.set_xattrs(),
        }
    }

    /// Returns a directory and a name that is free in it.
    fn place(&mut self) -> (u32, String) {
        let dir = *self.rng.pick(&self.model.dirs());
        let mut name = format!("n{}", self.rng.below(1000));
        name.push_str(&"-long".repeat(self.rng.below(40)));
        while self.model.names(dir).contains_key(&name) {
            name.push('x');
        }
        (dir, name)
    }

    fn add(&mut self, (dir, name): (u32, String), ino: u32, what: What, attrs: Attrs) {
        self.model.names(dir).insert(name, ino);
        let thing = Thing { what, attrs, xattrs: BTreeMap::new() };
        assert!(self.model.things.insert(ino, thing).is_none(), "inode {ino} was in use");
    }

    fn node(&mut self, path: (u32, &str)) -> Node {
        let dir = self.dir(path.0);
        self.fs.child(dir, path.1.as_bytes()).expect("it can be read").expect("it is there")
    }

    fn dir(&mut self, ino: u32) -> Node {
        // Nodes are only made by the file system: walk there.
        if ino == Node::ROOT.number() {
            return Node::ROOT;
        }
        let (parent, name) = self
            .model
            .dirs()
            .into_iter()
            .find_map(|dir| {
                let names = self.model.names(dir).clone();
                names.into_iter().find(|(_, at)| *at == ino).map(|(name, _)| (dir, name))
            })
            .expect("a directory has a parent");
        self.node((parent, &name))
    }

    fn create_file(&mut self) {
        let (dir, name) = self.place();
        let (bytes, attrs) = (contents(self.rng), attrs(self.rng));
        let node = self.dir(dir);
        let data = &mut bytes.as_slice();
        let node = self.fs.create_file_from(node, name.as_bytes(), &attrs, data).expect("a file");
        self.add((dir, name), node.number(), What::File(bytes), attrs);
    }

    fn create(&mut self, dir: u32, name: String, new: New<'_>, what: What) {
        let (attrs, node) = (attrs(self.rng), self.dir(dir));
        let node = self.fs.create(node, name.as_bytes(), new, &attrs).expect("something new");
        self.add((dir, name), node.number(), what, attrs);
    }

    fn create_dir(&mut self) {
        let (dir, name) = self.place();
        self.create(dir, name, New::Directory, What::Dir(BTreeMap::new()));
    }

    fn create_link(&mut self) {
        let (dir, name) = self.place();
        let target = vec![b't'; *self.rng.pick(&[1, 59, 60, 61, 150, 1000])];
        self.create(dir, name, New::Symlink(&target), What::Link(target.clone()));
    }

    /// Many names in one directory.
    fn crowd(&mut self) {
        let dir = *self.rng.pick(&self.model.dirs());
        for n in 0..self.rng.below(150) {
            let name = format!("crowd-{n}-{}", self.rng.below(10_000));
            if !self.model.names(dir).contains_key(&name) {
                self.create(dir, name, New::Fifo, What::Fifo);
            }
        }
    }

    fn file(&mut self) -> Option<(Node, u32)> {
        let (dir, name, ino) = self.model.pick(self.rng)?;
        let file = matches!(self.model.things[&ino].what, What::File(_));
        file.then(|| (self.node((dir, &name)), ino))
    }

    fn overwrite(&mut self) {
        let Some((node, ino)) = self.file() else { return };
        let bytes = contents(self.rng);
        self.fs.overwrite(node, &mut bytes.as_slice()).expect("new contents");
        self.put(ino, bytes);
    }

    fn truncate(&mut self) {
        let Some((node, ino)) = self.file() else { return };
        let What::File(mut bytes) = self.model.things[&ino].what.clone() else { return };
        let len = *self.rng.pick(&[0, 1, 60, 100, 4096, 50_001, 700_000]);
        self.fs.truncate(node, u64::try_from(len).expect("small")).expect("another length");
        bytes.resize(len, 0);
        self.put(ino, bytes);
    }

    fn put(&mut self, ino: u32, bytes: Vec<u8>) {
        let thing = self.model.things.get_mut(&ino).expect("it is there");
        thing.what = What::File(bytes);
        thing.attrs.mtime = Time { seconds: crate::image::NOW, nanos: 0 };
    }

    fn rename(&mut self) {
        let Some((dir, name, ino)) = self.model.pick(self.rng) else { return };
        let onto = self.model.pick(self.rng).filter(|_| self.rng.below(2) == 0);
        let (to_dir, to_name) = match onto {
            Some((dir, name, _)) => (dir, name),
            None => self.place(),
        };
        let (from, to) = (self.dir(dir), self.dir(to_dir));
        let result = self.fs.rename((from, name.as_bytes()), (to, to_name.as_bytes()));
        let directory = matches!(self.model.things[&ino].what, What::Dir(_));
        let other = self.model.names(to_dir).get(&to_name).copied();
        if directory && self.model.is_below(to_dir, ino) {
            assert!(matches!(result, Err(ExtError::IntoItself { .. })), "{result:?}");
            return;
        }
        if let Some(other) = other.filter(|&other| other != ino) {
            match &self.model.things[&other].what {
                What::Dir(_) if !directory => {
                    assert!(matches!(result, Err(ExtError::IsADirectory { .. })), "{result:?}");
                    return;
                }
                What::Dir(names) if !names.is_empty() => {
                    assert!(matches!(result, Err(ExtError::NotEmpty { .. })), "{result:?}");
                    return;
                }
                What::File(_) | What::Link(_) | What::Fifo if directory => {
                    assert!(matches!(result, Err(ExtError::NotADirectory { .. })), "{result:?}");
                    return;
                }
                _ => self.model.forget(to_dir, &to_name),
            }
        }
        result.expect("it is moved");
        if other != Some(ino) {
            self.model.names(dir).remove(&name);
            self.model.names(to_dir).insert(to_name, ino);
        }
    }

    fn hard_link(&mut self) {
        let Some((from, old, ino)) = self.model.pick(self.rng) else { return };
        let (dir, name) = self.place();
        let (node, to) = (self.node((from, &old)), self.dir(dir));
        let result = self.fs.link(to, name.as_bytes(), node);
        if matches!(self.model.things[&ino].what, What::Dir(_)) {
            assert!(matches!(result, Err(ExtError::IsADirectory { .. })), "{result:?}");
            return;
        }
        result.expect("one more name");
        self.model.names(dir).insert(name, ino);
    }

    fn remove(&mut self) {
        let Some((dir, name, ino)) = self.model.pick(self.rng) else { return };
        let parent = self.dir(dir);
        match &self.model.things[&ino].what {
            What::Dir(names) => {
                let result = self.fs.rmdir(parent, name.as_bytes());
                if !names.is_empty() {
                    assert!(matches!(result, Err(ExtError::NotEmpty { .. })), "{result:?}");
                    return;
                }
                result.expect("it goes");
            }
            _ => self.fs.unlink(parent, name.as_bytes()).expect("it goes"),
        }
        self.model.forget(dir, &name);
    }

    fn change(&mut self) {
        let Some((dir, name, ino)) = self.model.pick(self.rng) else { return };
        // An access control list follows the permissions: that has a test of its own.
        if self.model.things[&ino].xattrs.keys().any(|name| name.starts_with("system.")) {
            return;
        }
        let (node, attrs) = (self.node((dir, &name)), attrs(self.rng));
        self.fs.set_attrs(node, &attrs).expect("other attributes");
        self.model.things.get_mut(&ino).expect("it is there").attrs = attrs;
    }

    fn set_xattrs(&mut self) {
        let Some((dir, name, ino)) = self.model.pick(self.rng) else { return };
        let (node, all) = (self.node((dir, &name)), xattrs(self.rng));
        let list: Vec<_> = all.clone().into_iter().collect();
        match self.fs.replace_xattrs(node, &list) {
            // A small block, and much already in the inode.
            Err(ExtError::XattrsTooLarge) => (),
            result => {
                result.expect("other attributes");
                self.model.things.get_mut(&ino).expect("it is there").xattrs = all;
            }
        }
    }
}

/// Compares what we read with the model.
fn compare(fs: &mut ExtFs, model: &Model, what: &str) {
    let mut seen = BTreeSet::new();
    let mut todo = vec![Node::ROOT];
    while let Some(node) = todo.pop() {
        let thing = &model.things[&node.number()];
        let stat = fs.stat(node).expect("it is there");
        let xattrs: BTreeMap<_, _> = fs.xattrs(node).expect("they are").into_iter().collect();
        assert_eq!(xattrs, thing.xattrs, "{what}: inode {}", node.number());
        let mut expected = thing.attrs;
        match &thing.what {
            What::File(bytes) => {
                assert!(fs.read_file(node, 1 << 30).expect("read") == *bytes, "{what}: contents");
            }
            What::Link(target) => assert_eq!(fs.read_link(node).expect("read"), *target),
            What::Fifo => assert_eq!(stat.kind, Kind::Fifo),
            What::Dir(names) => {
                // Each name that comes or goes changes the time.
                expected.mtime = stat.attrs.mtime;
                let listed = fs.list(node).expect("its names").into_iter();
                let listed: BTreeMap<String, u32> = listed
                    .inspect(|entry| todo.push(entry.node))
                    .map(|e| (String::from_utf8(e.name).expect("text"), e.node.number()))
                    .collect();
                assert_eq!(listed, *names, "{what}: names");
            }
        }
        assert_eq!(stat.attrs, expected, "{what}: {thing:?}");
        seen.insert(node.number());
    }
    assert_eq!(seen.len(), model.things.len(), "{what}: how many");
}

/// Compares what debugfs copies out with the model.
fn compare_dump(image: &Image, model: &Model) {
    let folder = tempfile::tempdir().expect("a folder");
    image.debugfs(&format!("rdump / {}", text(folder.path())));
    let mut todo = vec![(folder.path().to_owned(), Node::ROOT.number())];
    while let Some((path, ino)) = todo.pop() {
        match &model.things[&ino].what {
            What::File(bytes) => assert!(read(&path) == *bytes, "{}", path.display()),
            What::Link(target) => {
                let link = std::fs::read_link(&path).expect("a link");
                assert_eq!(link.as_os_str().as_encoded_bytes(), target);
            }
            What::Dir(names) => {
                open(&path, "u+rwx");
                todo.extend(names.iter().map(|(n, &ino)| (path.join(n), ino)));
            }
            What::Fifo => (),
        }
    }
}

/// Gives us, who may not be root, the right to look: debugfs sets the permissions of the image.
fn open(path: &Path, right: &str) {
    drop(run(&["chmod", right, text(path)]).success());
}

fn read(path: &Path) -> Vec<u8> {
    open(path, "u+r");
    std::fs::read(path).expect("a file")
}

fn start(image: &Image) -> Model {
    let mut fs = image.edit();
    fs.rmdir(Node::ROOT, b"lost+found").expect("it goes");
    let attrs = fs.stat(Node::ROOT).expect("the root").attrs;
    fs.close().expect("it closes");
    let what = What::Dir(BTreeMap::new());
    let root = Thing { what, attrs, xattrs: BTreeMap::new() };
    Model { things: BTreeMap::from([(Node::ROOT.number(), root)]) }
}

#[test]
fn random_edits_leave_what_a_model_holds() {
    if !tools() {
        return;
    }
    let empty: Vec<Image> = FEATURES.iter().map(|options| Image::new(options)).collect();
    // At once: libext2fs has state that all file systems of a process share.
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            let empty = &empty;
            scope.spawn(move || (first..SEQUENCES).step_by(STEP).for_each(|n| sequence(n, empty)));
        }
    });
}

fn sequence(seed: u64, empty: &[Image]) {
    let which = usize::try_from(seed).expect("small") % FEATURES.len();
    let what = format!("sequence {seed}, {:?}", FEATURES[which]);
    let mut rng = Rng::new(seed);
    let image = Image::copy_of(&empty[which].path());
    let mut model = start(&image);
    for _ in 0..SESSIONS {
        let mut play = Play { fs: image.edit(), model: &mut model, rng: &mut rng };
        for _ in 0..EDITS / SESSIONS {
            play.edit();
        }
        compare(&mut play.fs, play.model, &what);
        play.fs.close().expect("it closes");
        image.check_as(&what);
    }
    compare(&mut image.open(Access::Read), &model, &what);
    compare_dump(&image, &model);
}
