# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The judge of a tree difference: Python's tarfile reads the archive, debugfs the disk.

    difference.py make TREE TAR                     an archive of TREE, and of all that a tree can have
    difference.py compare TAR DISK OFFSET FOLDER    prints what differs, one line for each; FOLDER is empty
"""
import hashlib
import io
import os
import stat
import struct
import subprocess
import sys
import tarfile

TYPES = {"regular": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE,
         "character special": tarfile.CHRTYPE, "block special": tarfile.BLKTYPE, "FIFO": tarfile.FIFOTYPE}
XATTR, ACL = "SCHILY.xattr.", "SCHILY.acl."


def text(value):
    return value.decode("utf-8", "surrogateescape")


def member(name, kind=tarfile.REGTYPE, mode=0o644, owner=(0, 0), **more):
    info = tarfile.TarInfo(name)
    info.type, info.mode, (info.uid, info.gid) = kind, mode, owner
    info.mtime = more.pop("mtime", 1_700_000_000)
    for key, value in more.items():
        setattr(info, key, value)
    return info


def make(tree, tar):
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as out:
        out.add(tree, ".")

        def put(info, data=b""):
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))

        put(member("srv", tarfile.DIRTYPE, 0o755))
        put(member("srv/many", tarfile.DIRTYPE, 0o700))
        put(member("srv/all", tarfile.DIRTYPE, 0o1777, (1, 2), mtime=12.5))
        for n, mode in enumerate([0, 0o400, 0o644, 0o2755, 0o4711, 0o6777, 0o7777]):
            put(member(f"srv/all/mode-{mode:04o}", mode=mode, owner=(n * 1000, 70_000 * n)), b"m")
        # Past what 16 bits of an owner hold, and on either side of what 32 bits of a time hold.
        put(member("srv/all/large-owner", owner=(4_000_000_000, 65_536)))
        for n, mtime in enumerate([-1, 0, 0.123456789, 2_147_483_648, 5_000_000_000.5]):
            put(member(f"srv/all/time-{n}", mtime=mtime))
        for size in [1, 59, 60, 61, 200, 4000]:
            put(member(f"srv/all/link-{size}", tarfile.SYMTYPE, 0o777, (3, 4), linkname="l" * size))
        put(member("srv/all/char", tarfile.CHRTYPE, 0o620, (0, 5), devmajor=5, devminor=1))
        put(member("srv/all/block", tarfile.BLKTYPE, 0o660, (0, 6), devmajor=259, devminor=70_000))
        put(member("srv/all/pipe", tarfile.FIFOTYPE, 0o600))
        put(member("srv/all/" + "n" * 255), b"long name")
        put(member("srv/all/new\nline \xe4\udcff"), b"odd name")
        for size in [0, 1, 4095, 4096, 4097, 65_536, 5 << 20]:
            put(member(f"srv/all/size-{size}"), bytes(n * n % 251 for n in range(min(size, 9973))) * (size // 9973 + 1))
        # Zeros in the middle of it, and at its end.
        put(member("srv/all/zeros"), b"a" * 5000 + bytes(3 << 20) + b"b" * 5000 + bytes(1 << 20))
        # More than a block of names: a hashed directory.
        for n in range(600):
            put(member(f"srv/many/{n}"), str(n).encode())
        put(member("srv/all/one"), b"two names")
        put(member("srv/two", tarfile.LNKTYPE, linkname="srv/all/one"))
        pax = {XATTR + "user.empty": "", XATTR + "user.odd": text(b"a=b\nc\0\xff"), XATTR + "trusted.x": "y" * 3000,
               XATTR + "security.capability": text(bytes.fromhex("0100000200200000000000000000000000000000"))}
        put(member("srv/all/attributes", pax_headers=pax), b"attributes")
        pax = {ACL + "access": "user::rw-,user:1000:r--,group::r--,mask::r--,other::---"}
        put(member("srv/all/list", mode=0o640, pax_headers=pax), b"list")
        pax = {ACL + "default": "user::rwx,group:70000:rwx,group::r-x,mask::rwx,other::r-x"}
        put(member("srv/all/lists", tarfile.DIRTYPE, 0o755, pax_headers=pax))


def acl(value):
    """An access control list as debugfs shows it: linux/posix_acl_xattr.h, but that it has 0 for no number."""
    tags = {"user": (1, 2), "group": (4, 8), "mask": (16, 16), "other": (32, 32)}
    entries = []
    for entry in value.replace("\n", ",").split(","):
        tag, who, rights = (entry.split(":") + [""])[:3]
        bits = sum(bit for bit, letter in zip((4, 2, 1), rights) if letter != "-")
        entries.append((tags[tag][bool(who)], bits, int(who) if who else 0))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in sorted(entries))


def attributes(info):
    found = {}
    for key, value in info.pax_headers.items():
        if key.startswith(XATTR):
            found[key[len(XATTR):]] = value.encode("utf-8", "surrogateescape")
        elif key.startswith(ACL):
            found["system.posix_acl_" + key[len(ACL):]] = acl(value)
    return found


def time_of(info):
    """Seconds and nanoseconds, as they are written: a float would round them."""
    seconds, _, part = str(info.pax_headers.get("mtime", info.mtime)).partition(".")
    seconds, nanos = int(seconds), int((part + "0" * 9)[:9])
    return (seconds - 1, 10**9 - nanos) if seconds < 0 and nanos else (seconds, nanos)


def expected(tar):
    """What the archive has, by path: type, mode, owners, time, attributes, and contents or target."""
    nodes = {}
    with tarfile.open(tar) as archive:
        for info in archive:
            path = os.path.normpath(info.name).lstrip("/")
            path = "" if path == "." else path
            if info.islnk():
                nodes[path] = nodes[os.path.normpath(info.linkname).lstrip("/")]
                nodes[path]["names"] += 1
                continue
            node = {"type": tarfile.REGTYPE if info.isreg() else info.type, "mode": info.mode & 0o7777,
                    "owner": (info.uid, info.gid), "time": time_of(info), "attributes": attributes(info), "names": 1}
            if info.isreg():
                node["contents"] = hashlib.sha256(archive.extractfile(info).read()).hexdigest()
            elif info.issym():
                node["contents"] = info.linkname
            elif info.ischr() or info.isblk():
                node["device"] = (info.devmajor, info.devminor)
            nodes[path] = node
    return nodes


def ask(disk, commands):
    """Has debugfs carry out commands; returns what it printed for each."""
    given = "".join(command + "\n" for command in commands).encode("utf-8", "surrogateescape")
    out = subprocess.run(["debugfs", "-f", "-", disk], input=given, capture_output=True, check=True).stdout
    parts = text(out).split("debugfs: ")[1:]
    assert len(parts) == len(commands), (len(parts), len(commands))
    return [part.partition("\n")[2] for part in parts]


def tree_of(disk):
    """Every name of the disk and its inode's number: debugfs lists, so that odd names are no commands."""
    numbers, todo = {"": 2}, [("", 2)]
    while todo:
        listed = ask(disk, [f"ls -p <{number}>" for _, number in todo])
        found = []
        for (folder, _), lines in zip(todo, listed):
            # /INODE/MODE/UID/GID/NAME/SIZE/ and a name may have a line's end in it.
            fields = lines.split("/")
            for at in range(1, len(fields) - 6, 7):
                number, mode, name = int(fields[at]), int(fields[at + 1], 8), fields[at + 4]
                if name not in (".", "..") and number:
                    path = os.path.join(folder, name)
                    numbers[path] = number
                    if stat.S_ISDIR(mode):
                        found.append((path, number))
        todo = found
    return numbers


def field(lines, name):
    return lines.split(name, 1)[1].split()[0]


def node_of(lines):
    kind = lines.split("Type: ", 1)[1].split("Mode:", 1)[0].strip()
    # Seconds in 32 bits; then 30 bits of nanoseconds, and 2 that the seconds go on with.
    seconds, extra = (int(half, 16) for half in field(lines, "\n mtime: 0x").split(":"))
    seconds = (seconds ^ 0x80000000) - 0x80000000 + ((extra & 3) << 32)
    node = {"type": TYPES[kind], "mode": int(field(lines, "Mode:"), 8) & 0o7777,
            "owner": tuple(int(field(lines, name)) & 0xFFFFFFFF for name in ("User:", "Group:")), "time": (seconds, extra >> 2),
            "names": int(field(lines, "Links:"))}
    if "Device major/minor number: " in lines:
        node["device"] = tuple(int(n) for n in field(lines, "Device major/minor number: ").split(":"))
    return node


def found(disk, folder):
    """What the disk has, as `expected` says what the archive has."""
    numbers = tree_of(disk)
    unique = sorted(set(numbers.values()))
    told = dict(zip(unique, ask(disk, [f"stat <{n}>" for n in unique])))
    nodes = {number: node_of(lines) for number, lines in told.items()}
    lists = ask(disk, [f"ea_list <{n}>" for n in unique])
    places = {}
    for number, lines in zip(unique, lists):
        nodes[number]["attributes"] = {}
        for line in lines.splitlines():
            if line.startswith("  "):
                places[number, line.split(" (", 1)[0].strip()] = os.path.join(folder, f"a{len(places)}")
    ask(disk, [f"ea_get -f {place} <{number}> {name}" for (number, name), place in places.items()])
    for (number, name), place in places.items():
        nodes[number]["attributes"][name] = open(place, "rb").read()
    read = [n for n in unique if nodes[n]["type"] in (tarfile.REGTYPE, tarfile.SYMTYPE)]
    ask(disk, [f"dump <{n}> {os.path.join(folder, str(n))}" for n in read if nodes[n]["type"] == tarfile.REGTYPE])
    for number in read:
        place = os.path.join(folder, str(number))
        if nodes[number]["type"] == tarfile.REGTYPE:
            nodes[number]["contents"] = hashlib.sha256(open(place, "rb").read()).hexdigest()
            os.unlink(place)
    for number in read:
        if nodes[number]["type"] == tarfile.SYMTYPE:
            lines = told[number]
            fast = "Fast link dest: " in lines
            target = lines.split('Fast link dest: "', 1)[1].rsplit('"', 1)[0] if fast else None
            nodes[number]["contents"] = target if fast else ask(disk, [f"cat <{number}>"])[0].rstrip("\0\n")
    return {path: nodes[number] for path, number in numbers.items()}, numbers


def compare(tar, disk, offset, folder):
    wanted = expected(tar)
    there, numbers = found(f"{disk}?offset={offset}", folder)
    for path in sorted(set(wanted) | set(there)):
        name = repr("/" + path)
        if path not in there:
            print(f"- {name}")
        elif path not in wanted:
            print(f"+ {name}")
        else:
            old, new = wanted[path], there[path]
            # A directory's names are counted by its file system: e2fsck has compared them.
            keys = set(old) | set(new) - ({"names"} if old["type"] == tarfile.DIRTYPE else set())
            keys -= {"names"} if old["type"] == tarfile.DIRTYPE else set()
            for key in sorted(keys):
                if old.get(key) != new.get(key):
                    print(f"~ {name} {key}")
    # Names of one file in the archive are names of one inode.
    groups = {}
    for path, node in wanted.items():
        groups.setdefault(id(node), []).append(path)
    for paths in groups.values():
        if len({numbers[path] for path in paths if path in numbers}) > 1:
            print(f"/ {sorted(paths)}")
    print(f"= {len(set(wanted) & set(there))}")


{"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])
