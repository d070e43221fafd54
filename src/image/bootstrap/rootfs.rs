//! An installed system as an image: what belongs to this machine or to nobody is left out, apt is pointed to
//! the mirror, and all is written in the format that engines load (the one of `docker save`).

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::Plan;
use crate::source::mirror::without_credentials;

/// Folders that stay, without what is in them.
const EMPTIED: [&str; 17] = [
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "var/tmp",
    "var/log",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
    "usr/share/man",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/linda",
    "usr/share/groff",
    "usr/share/locale",
];

/// Files that belong to this machine or are written anew.
const LEFT_OUT: [&str; 7] = [
    "debootstrap",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "etc/apt/sources.list",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
];

/// Later installations leave out the same as we do.
const DPKG_EXCLUDES: &str = "\
# written by `ioc image bootstrap`: an image needs no documentation, but its licences
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/groff/*
";

/// Packages must not start services while an image is built.
const NO_SERVICES: &str = "#!/bin/sh\n# written by `ioc image bootstrap`: no service is started while an image is built\nexit 101\n";

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    LeftOut,
}

fn fate(path: &Path) -> Fate {
    let in_emptied = EMPTIED
        .iter()
        .any(|folder| path.starts_with(folder) && path != Path::new(folder));
    let is_backup = path.parent().is_some_and(|parent| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        (parent == Path::new("etc") && name.ends_with('-') && name.len() > 1)
            || (parent == Path::new("var/lib/dpkg") && name.ends_with("-old"))
    });
    let is_document = path.starts_with("usr/share/doc")
        && path.components().count() > 4
        && path.file_name().is_none_or(|name| name != "copyright");
    if in_emptied || is_backup || is_document || LEFT_OUT.iter().any(|left| path.starts_with(left))
    {
        Fate::LeftOut
    } else {
        Fate::Kept
    }
}

/// The `.sources` file of apt in the image. A password in the mirror's URL stays outside.
fn apt_sources(plan: &Plan) -> String {
    format!(
        "# written by `ioc image bootstrap`\nTypes: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        without_credentials(&plan.mirror),
        plan.suite
    )
}

/// Writes the system in `root` as the image of `plan` to `archive`.
///
/// # Errors
///
/// Files that cannot be read or written; [`io::ErrorKind::Interrupted`] when it was stopped.
pub(super) fn pack(
    plan: &Plan,
    root: &Path,
    archive: &Path,
    created: Timestamp,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let version = fs_err::read_to_string(root.join("etc/debian_version")).unwrap_or_default();
    let layer_path = archive.with_extension("layer");
    let layer = Hashing {
        inner: BufWriter::new(fs_err::File::create(&layer_path)?),
        hash: Sha256::new(),
    };
    let mut builder = tar::Builder::new(layer);
    write_system(&mut builder, root, cancel)?;
    let mtime = u64::try_from(created.as_second()).unwrap_or_default();
    let own_files = [
        (
            "etc/apt/sources.list.d/debian.sources",
            apt_sources(plan),
            0o644,
        ),
        ("etc/dpkg/dpkg.cfg.d/image", DPKG_EXCLUDES.to_owned(), 0o644),
        ("etc/machine-id", String::new(), 0o444),
        ("usr/sbin/policy-rc.d", NO_SERVICES.to_owned(), 0o755),
    ];
    for (path, text, mode) in &own_files {
        append_bytes(&mut builder, path, text.as_bytes(), *mode, mtime)?;
    }
    let layer = builder.into_inner()?;
    let digest = hexadecimal(&layer.hash.finalize());
    layer
        .inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    let config = config(plan, version.trim(), &digest, created).to_string();
    let config_name = format!("{}.json", hexadecimal(&Sha256::digest(config.as_bytes())));
    let manifest = json!([{
        "Config": config_name,
        "RepoTags": [plan.image],
        "Layers": ["layer.tar"],
    }])
    .to_string();
    let mut builder = tar::Builder::new(BufWriter::new(fs_err::File::create(archive)?));
    append_bytes(&mut builder, &config_name, config.as_bytes(), 0o644, mtime)?;
    append_bytes(
        &mut builder,
        "manifest.json",
        manifest.as_bytes(),
        0o644,
        mtime,
    )?;
    let layer = fs_err::File::open(&layer_path)?;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(mtime);
    header.set_size(layer.metadata()?.len());
    builder.append_data(&mut header, "layer.tar", layer)?;
    builder
        .into_inner()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    fs_err::remove_file(&layer_path)
}

/// The image's own description (OCI image specification, image configuration).
fn config(plan: &Plan, version: &str, layer: &str, created: Timestamp) -> serde_json::Value {
    let name = format!("Debian {} (minbase)", plan.suite);
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": created.to_string(),
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["bash"],
            "Labels": {
                "org.opencontainers.image.title": name,
                "org.opencontainers.image.description":
                    "installed from Debian packages by `ioc image bootstrap`; not the official image",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.created": created.to_string(),
                "ioc.bootstrap.suite": plan.suite,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{
            "created": created.to_string(),
            "created_by": format!("ioc image bootstrap --suite {}", plan.suite),
        }],
    })
}

/// This machine's architecture as engines name it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn write_system<W: Write>(
    builder: &mut tar::Builder<W>,
    root: &Path,
    cancel: &CancellationToken,
) -> io::Result<()> {
    // First name of each file that has several.
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let walk = walkdir::WalkDir::new(root)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .is_ok_and(|path| path.as_os_str().is_empty() || fate(path) == Fate::Kept)
        });
    for entry in walk {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let entry = entry.map_err(io::Error::from)?;
        let path = entry.path().strip_prefix(root).map_err(io::Error::other)?;
        let metadata = entry.metadata().map_err(io::Error::from)?;
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket() {
            continue;
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(u64::from(metadata.uid()));
        header.set_gid(u64::from(metadata.gid()));
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
        header.set_size(0);
        if kind.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            let mut name = path.as_os_str().to_owned();
            name.push("/");
            builder.append_data(&mut header, Path::new(&name), io::empty())?;
        } else if kind.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, path, fs_err::read_link(entry.path())?)?;
        } else if let Some(first) = (metadata.nlink() > 1)
            .then(|| names.get(&(metadata.dev(), metadata.ino())))
            .flatten()
        {
            header.set_entry_type(tar::EntryType::Link);
            builder.append_link(&mut header, path, first)?;
        } else {
            names.insert((metadata.dev(), metadata.ino()), path.to_path_buf());
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(metadata.len());
            builder.append_data(&mut header, path, fs_err::File::open(entry.path())?)?;
        }
    }
    Ok(())
}

fn append_bytes<W: Write>(
    builder: &mut tar::Builder<W>,
    path: &str,
    contents: &[u8],
    mode: u32,
    mtime: u64,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_size(contents.len() as u64);
    builder.append_data(&mut header, path, contents)
}

fn hexadecimal(bytes: &[u8]) -> String {
    crate::source::hexadecimal(bytes)
}

/// A writer that knows the SHA-256 of what went through it.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_left_out() {
        for (path, expected) in [
            ("usr/bin/perl", Fate::Kept),
            ("tmp", Fate::Kept),
            ("tmp/x", Fate::LeftOut),
            ("var/lib/apt", Fate::Kept),
            ("var/lib/apt/lists/x", Fate::LeftOut),
            ("var/lib/apt/extended_states", Fate::Kept),
            ("usr/share/doc/bash", Fate::Kept),
            ("usr/share/doc/bash/copyright", Fate::Kept),
            ("usr/share/doc/bash/README", Fate::LeftOut),
            ("etc/resolv.conf", Fate::LeftOut),
            ("etc/passwd-", Fate::LeftOut),
            ("etc/passwd", Fate::Kept),
            ("var/lib/dpkg/status-old", Fate::LeftOut),
            ("var/lib/dpkg/status", Fate::Kept),
            ("debootstrap/debootstrap.log", Fate::LeftOut),
            ("dev/null", Fate::LeftOut),
        ] {
            assert_eq!(fate(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn the_archive_is_an_image_that_names_its_layer() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for path in ["etc", "usr/bin", "tmp", "var/log"] {
            fs_err::create_dir_all(root.join(path)).unwrap();
        }
        fs_err::write(root.join("etc/debian_version"), "13.1\n").unwrap();
        fs_err::write(root.join("etc/hostname"), "secret-host\n").unwrap();
        fs_err::write(root.join("usr/bin/perl"), "perl").unwrap();
        fs_err::hard_link(root.join("usr/bin/perl"), root.join("usr/bin/perl5")).unwrap();
        fs_err::write(root.join("var/log/x.log"), "log").unwrap();
        let plan = Plan {
            suite: "trixie".to_owned(),
            mirror: "https://user:secret@packages.site/debian".to_owned(),
            image: "localhost/debian:trixie".to_owned(),
        };
        let archive = folder.path().join("image.tar");
        let cancel = CancellationToken::new();
        pack(&plan, &root, &archive, Timestamp::UNIX_EPOCH, &cancel).unwrap();
        let bytes = fs_err::read(&archive).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        let mut files: HashMap<String, Vec<u8>> = HashMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            files.insert(name, contents);
        }
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "localhost/debian:trixie");
        let config = &files[manifest[0]["Config"].as_str().unwrap()];
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        let layer = &files["layer.tar"];
        let digest = format!("sha256:{}", hexadecimal(&Sha256::digest(layer)));
        assert_eq!(config["rootfs"]["diff_ids"][0], digest);
        assert_eq!(
            config["config"]["Labels"]["org.opencontainers.image.version"],
            "13.1"
        );
        let listing: Vec<String> = tar::Archive::new(&layer[..])
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let kind = entry.header().entry_type();
                format!("{kind:?} {}", entry.path().unwrap().display())
            })
            .collect();
        insta::assert_snapshot!(listing.join("\n"), @"
        Directory etc/
        Regular etc/debian_version
        Directory tmp/
        Directory usr/
        Directory usr/bin/
        Regular usr/bin/perl
        Link usr/bin/perl5
        Directory var/
        Directory var/log/
        Regular etc/apt/sources.list.d/debian.sources
        Regular etc/dpkg/dpkg.cfg.d/image
        Regular etc/machine-id
        Regular usr/sbin/policy-rc.d
        ");
        cancel.cancel();
        let error = pack(&plan, &root, &archive, Timestamp::UNIX_EPOCH, &cancel).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
