use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::source::tree;

/// One entry of an archive made for a test; names are written as they are, which no honest tar does.
enum Made<'a> {
    File(&'a str, &'a str),
    Folder(&'a str),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Other(&'a str, tar::EntryType),
}

fn raw_header(name: &str, link: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_size(size);
    header.set_cksum();
    header
}

fn archive(entries: &[Made<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let (header, contents) = match entry {
            Made::File(name, text) => (
                raw_header(name, "", tar::EntryType::Regular, text.len() as u64),
                *text,
            ),
            Made::Folder(name) => (raw_header(name, "", tar::EntryType::Directory, 0), ""),
            Made::Link(name, to) => (raw_header(name, to, tar::EntryType::Symlink, 0), ""),
            Made::HardLink(name, to) => (raw_header(name, to, tar::EntryType::Link, 0), ""),
            Made::Other(name, kind) => (raw_header(name, "", *kind, 0), ""),
        };
        builder.append(&header, contents.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpack_bytes(bytes: &[u8], strip: u8, limits: Limits) -> Result<tempfile::TempDir, String> {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("archive");
    fs_err::write(&file, bytes).unwrap();
    let tree = work.path().join("outside/tree");
    fs_err::create_dir_all(&tree).unwrap();
    let result = Unpack {
        file: &file,
        name: "x.tar",
        tree: &tree,
        below: Path::new(""),
        strip,
        limits,
        cancel: &CancellationToken::new(),
    }
    .run();
    // Whatever happened, nothing stands beside the tree.
    let beside = fs_err::read_dir(work.path().join("outside"))
        .unwrap()
        .count();
    assert_eq!(beside, 1, "something was written outside of the tree");
    match result {
        Ok(()) => Ok(work),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Err([Some(error.to_string()), cause]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(": "))
        }
    }
}

fn unpack(entries: &[Made<'_>], strip: u8) -> Result<Vec<String>, String> {
    let work = unpack_bytes(&archive(entries), strip, Limits::default())?;
    let tree = work.path().join("outside/tree");
    Ok(tree::entries(&tree)
        .unwrap()
        .into_iter()
        .map(|entry| {
            let path = entry.path.display().to_string();
            match entry.kind {
                tree::EntryKind::Folder => format!("{path}/"),
                tree::EntryKind::Link { target } => format!("{path} -> {}", target.display()),
                tree::EntryKind::File { .. } => {
                    let text = fs_err::read_to_string(tree.join(&entry.path)).unwrap();
                    format!("{path} = {text}")
                }
            }
        })
        .collect())
}

#[test]
fn an_honest_archive_is_unpacked() {
    let found = unpack(
        &[
            Made::Folder("asyn-4/"),
            Made::File("asyn-4/Makefile", "old"),
            Made::File("asyn-4/Makefile", "new"),
            Made::File("asyn-4/a/b/c.c", "c"),
            Made::Link("asyn-4/a/up", "../Makefile"),
            Made::Link("asyn-4/a/dangling", "../missing/x"),
            Made::HardLink("asyn-4/hard", "asyn-4/a/b/c.c"),
            Made::HardLink("asyn-4/a/up2", "asyn-4/a/up"),
        ],
        1,
    )
    .unwrap();
    insta::assert_snapshot!(found.join("\n"), @"
    Makefile = new
    a/
    a/b/
    a/b/c.c = c
    a/dangling -> ../missing/x
    a/up -> ../Makefile
    a/up2 -> ../Makefile
    hard = c
    ");
}

#[test]
fn a_file_that_stripping_would_lose_is_an_error() {
    let message = unpack(&[Made::Folder("./"), Made::File("Makefile", "")], 1).unwrap_err();
    insta::assert_snapshot!(message, @"failed to unpack `x.tar`: its file `Makefile` lies in no folder that could be left out: `strip: 0` keeps everything");
}

#[test]
fn modes_are_reduced_to_what_counts() {
    let work = unpack_bytes(&archive(&[Made::File("x", "")]), 0, Limits::default()).unwrap();
    let mode = fs_err::metadata(work.path().join("outside/tree/x"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o555, "set-uid must not be taken over");
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let cases: &[(&str, &[Made<'_>])] = &[
        ("up", &[Made::File("a/../../x", "")]),
        ("absolute", &[Made::File("/etc/x", "")]),
        ("link up", &[Made::Link("a/b", "../../x")]),
        ("absolute link", &[Made::Link("a", "/etc/passwd")]),
        (
            "link through a link",
            &[
                Made::File("a/b/c/f", ""),
                Made::Link("a/b/c/top", "../../.."),
                Made::Link("z", "a/b/c/top/../x"),
            ],
        ),
        (
            "file below a link",
            &[Made::Link("d", "."), Made::File("d/x", "")],
        ),
        ("circle", &[Made::Link("a", "b"), Made::Link("b", "a")]),
        (
            "hard link up",
            &[Made::HardLink("a", "../../../etc/passwd")],
        ),
        ("hard link absolute", &[Made::HardLink("a", "/etc/passwd")]),
        ("hard link to nothing", &[Made::HardLink("a", "b")]),
        (
            "character device",
            &[Made::Other("a", tar::EntryType::Char)],
        ),
        ("block device", &[Made::Other("a", tar::EntryType::Block)]),
        ("pipe", &[Made::Other("a", tar::EntryType::Fifo)]),
        (
            "file where a folder is",
            &[Made::Folder("a"), Made::File("a", "")],
        ),
        (
            "folder where a file is",
            &[Made::File("a", ""), Made::File("a/b", "")],
        ),
        ("terminal control", &[Made::File("../\u{1b}[2J", "")]),
    ];
    let mut report = String::new();
    for (name, entries) in cases {
        let message = unpack(entries, 0).expect_err(name);
        report.push_str(&format!("{name}: {message}\n"));
    }
    insta::assert_snapshot!(report, @r"
    up: `x.tar` is refused because of its entry `a/../../x`: its name leads out of the archive with `..`
    absolute: `x.tar` is refused because of its entry `/etc/x`: its name is absolute
    link up: `x.tar` is refused because of its entry `a/b`: it is a symbolic link to `../../x`, which leaves the archive
    absolute link: `x.tar` is refused because of its entry `a`: it is a symbolic link to `/etc/passwd`, an absolute name
    link through a link: `x.tar` is refused because of its entry `z`: it is a symbolic link to `a/b/c/top/../x`, which leaves the archive
    file below a link: `x.tar` is refused because of its entry `d`: it lies below the symbolic link `d`
    circle: `x.tar` is refused because of its entry `a`: it is a symbolic link to `b`, which leads in a circle
    hard link up: `x.tar` is refused because of its entry `a`: it is a hard link to `../../../etc/passwd`: its name leads out of the archive with `..`
    hard link absolute: `x.tar` is refused because of its entry `a`: it is a hard link to `/etc/passwd`: its name is absolute
    hard link to nothing: `x.tar` is refused because of its entry `a`: it is a hard link to `b`, which is not a file of the archive before it
    character device: `x.tar` is refused because of its entry `a`: it is a device file, which no source needs
    block device: `x.tar` is refused because of its entry `a`: it is a device file, which no source needs
    pipe: `x.tar` is refused because of its entry `a`: it is a named pipe, which no source needs
    file where a folder is: `x.tar` is refused because of its entry `a`: a folder of the same name stands in the archive before it
    folder where a file is: `x.tar` is refused because of its entry `a`: a file of the same name stands in the archive before it
    terminal control: `x.tar` is refused because of its entry `../\u{1b}[2J`: its name leads out of the archive with `..`
    ");
}

#[test]
fn a_link_that_was_replaced_by_a_file_is_a_file() {
    let found = unpack(&[Made::Link("a", "b"), Made::File("a", "text")], 0).unwrap();
    assert_eq!(found, ["a = text"]);
}

#[test]
fn each_compression_is_seen_and_others_are_named() {
    let plain = archive(&[Made::File("x", "text")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&plain).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    for bytes in [
        plain.clone(),
        gzip.finish().unwrap(),
        bzip2.finish().unwrap(),
        xz.finish().unwrap(),
    ] {
        unpack_bytes(&bytes, 0, Limits::default()).unwrap();
    }
    let mut report = String::new();
    for bytes in [
        &b"PK\x03\x04..."[..],
        b"<html>please log in</html>",
        b"\x28\xb5\x2f\xfd",
        b"",
        b"plain text",
        b"\x1f\x8b\x08broken",
        &plain[..700],
        &[0; 1024],
    ] {
        let message = unpack_bytes(bytes, 0, Limits::default()).unwrap_err();
        report.push_str(&format!("{message}\n"));
    }
    insta::assert_snapshot!(report, @"
    failed to unpack `x.tar`: it is a zip archive; only tar archives are read
    failed to unpack `x.tar`: it is a web page, not an archive
    failed to unpack `x.tar`: it is compressed with zstd; gzip, bzip2 and xz are read
    failed to unpack `x.tar`: it is not a tar archive, nor one compressed with gzip, bzip2 or xz
    failed to unpack `x.tar`: it is not a tar archive, nor one compressed with gzip, bzip2 or xz
    failed to unpack `x.tar`: unexpected end of file
    failed to unpack `x.tar`: unexpected EOF during skip
    failed to unpack `x.tar`: it is not a tar archive, nor one compressed with gzip, bzip2 or xz
    ");
}

#[test]
fn a_bomb_is_refused() {
    let small = Limits {
        entries: 10,
        bytes: 1 << 20,
        ratio: 10,
        ratio_floor: 64 * 1024,
        depth: 8,
    };
    let zeros = "0".repeat(512 * 1024);
    let bomb = archive(&[Made::File("x", &zeros)]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bomb).unwrap();
    let many = archive(&[const { Made::File("x", "") }; 11]);
    // Each hard link is a copy: a tiny archive of many of them must not fill the disk.
    let mut copies = vec![Made::File("x", &zeros)];
    copies.extend(["a", "b", "c"].map(|name| Made::HardLink(name, "x")));
    let deep = archive(&[Made::File("1/2/3/4/5/6/7/8/9", "")]);
    let mut report = String::new();
    for bytes in [gzip.finish().unwrap(), many, archive(&copies), deep] {
        report.push_str(&unpack_bytes(&bytes, 0, small).unwrap_err());
        report.push('\n');
    }
    insta::assert_snapshot!(report, @"
    `x.tar` is refused because of its entry `(whole archive)`: it expands to more than 65536 bytes, far more than an archive of its size holds
    `x.tar` is refused because of its entry `x`: it is entry 11 of the archive, which is too many
    `x.tar` is refused because of its entry `b`: the files have more than 1048576 bytes
    `x.tar` is refused because of its entry `1/2/3/4/5/6/7/8/9`: it lies more than 8 folders deep
    ");
}

#[test]
fn stopping_stops() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("archive");
    fs_err::write(&file, archive(&[Made::File("x", "")])).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let result = Unpack {
        file: &file,
        name: "x.tar",
        tree: work.path(),
        below: Path::new(""),
        strip: 0,
        limits: Limits::default(),
        cancel: &cancel,
    }
    .run();
    assert!(matches!(result, Err(SourceError::Cancelled)), "{result:?}");
}

/// Names as an attacker would write them.
fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
        4 => "[abc]",
    ];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn a_sanitised_name_only_goes_down(raw in name(), strip in 0_u8..4) {
        if let Ok(Some(path)) = sanitise(Path::new(&raw), strip, 64) {
            prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            prop_assert!(!raw.split('/').any(|part| part == ".."));
            prop_assert!(!raw.starts_with('/'));
        }
    }

    /// What the resolver accepts, the kernel resolves inside the tree: checked against the real thing.
    #[test]
    fn accepted_archives_never_lead_out(
        entries in prop::collection::vec((0_u8..4, name(), name()), 1..8)
    ) {
        let made: Vec<Made<'_>> = entries
            .iter()
            .map(|(kind, name, other)| match kind {
                0 => Made::File(name, "x"),
                1 => Made::Folder(name),
                2 => Made::Link(name, other),
                _ => Made::HardLink(name, other),
            })
            .collect();
        if let Ok(work) = unpack_bytes(&archive(&made), 0, Limits::default()) {
            let tree = work.path().join("outside/tree").canonicalize().unwrap();
            for entry in tree::entries(&tree).unwrap() {
                if let Ok(real) = tree.join(&entry.path).canonicalize() {
                    prop_assert!(real.starts_with(&tree), "{} is {}", entry.path.display(), real.display());
                }
            }
        }
    }
}
