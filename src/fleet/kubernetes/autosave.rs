//! Saved settings in the pod of an instance, read with the shell and the programs of its image.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::fleet::autosave::{Entry, LARGEST_FILE};
use crate::fleet::console::connection::Piece;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::console::{self, PodProcess};
use crate::fleet::kubernetes::look::find;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Lists the files of a folder with their contents: name, size and time, base64, a line with a dot. The IOC may write and
/// rename at any time: what is gone is passed over, and no frame depends on a size.
const SCRIPT: &str = r#"
cd "$1" || exit 3
if [ -n "$2" ]; then set -- "$2"; else set -- *; fi
for file do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    facts=$(stat -c '%s %Y' "./$file") || { [ -e "./$file" ] && exit 4; continue; }
    coded=
    if [ "${facts% *}" -le LIMIT ]; then
        coded=$(base64 "./$file") || { [ -e "./$file" ] && exit 4; continue; }
    fi
    printf '%s\n%s\n%s\n.\n' "$file" "$facts" "$coded"
done
exit 0
"#;

/// Takes so many bytes from its input into a file beside, and then in place of the one of that name, which is kept.
const PUT: &str = r#"
cd "$1" || exit 3
new=".$2.new"
trap 'rm -f "./$new"' EXIT
head -c "$4" >"./$new" || exit 4
[ "$(($(wc -c <"./$new")))" = "$4" ] || { echo "not all of it arrived" >&2; exit 5; }
kept=
if [ -e "./$2" ] || [ -L "./$2" ]; then
    [ -f "./$2" ] && [ ! -L "./$2" ] || { echo "$2 is not a file" >&2; exit 6; }
    chmod "$(stat -c %a "./$2")" "./$new" || exit 4
    kept=$3 count=1
    while [ -e "./$kept" ]; do count=$((count + 1)); kept=$3-$count; done
    cp -p "./$2" "./$kept" || exit 4
fi
sync "./$new" 2>/dev/null || sync
mv -f "./$new" "./$2" || exit 4
echo "$kept"
"#;

/// Most bytes that one answer may have.
const LARGEST_ANSWER: usize = 128 * 1024 * 1024;

/// Reads the files of a folder in the IOC's container, or only the one of that name. The IOC has to run.
///
/// # Errors
///
/// It does not run, the folder is not there, the image has no shell, or the cluster refuses.
pub async fn read(
    cluster: &Cluster,
    instance: &str,
    folder: &str,
    only: Option<&str>,
) -> CommandResult<Vec<Entry>> {
    let found = find::find(cluster, instance).await?;
    let process = PodProcess::of(&found, None).map_err(|error| {
        if error.kind() == ErrorKind::Unhealthy {
            error.hint(format!(
                "its saved settings are read by a command in its pod; they stay in its claim: `ioc start {instance}` first"
            ))
        } else {
            error
        }
    })?;
    read_in(cluster, &process, instance, folder, only).await
}

/// The same in a container that is known to run.
///
/// # Errors
///
/// As [`read`].
pub async fn read_in(
    cluster: &Cluster,
    process: &PodProcess,
    instance: &str,
    folder: &str,
    only: Option<&str>,
) -> CommandResult<Vec<Entry>> {
    let script = SCRIPT.replace("LIMIT", &LARGEST_FILE.to_string());
    let command = [
        "sh",
        "-c",
        script.as_str(),
        "sh",
        folder,
        only.unwrap_or_default(),
    ];
    let command = command.map(str::to_owned).to_vec();
    let mut connection = console::exec(cluster, process, command, false).await?;
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    while let Some(piece) = connection.output.next().await {
        match piece? {
            Piece::Output(bytes) => said.extend_from_slice(&bytes),
            Piece::Error(bytes) => complained.extend_from_slice(&bytes),
        }
        if said.len() > LARGEST_ANSWER {
            return Err(CommandError::new(
                ErrorKind::Input,
                format!(
                    "`{folder}` in `{}` has too much in it for saved settings",
                    process.pod
                ),
            ));
        }
    }
    let complained = String::from_utf8_lossy(&complained).trim().to_owned();
    match connection.exit_code().await? {
        Some(0) => entries(&String::from_utf8_lossy(&said)).ok_or_else(|| {
            CommandError::new(
                ErrorKind::Internal,
                format!(
                    "the answer of a command in `{}` is not understood",
                    process.pod
                ),
            )
        }),
        Some(3) => Err(CommandError::not_found(format!(
            "`{instance}` has no folder `{folder}` in its container"
        ))
        .hint("name the folder of its saved settings with `--folder`")),
        code => {
            let code = code.map_or("no exit code".to_owned(), |code| {
                format!("exit code {code}")
            });
            let error = CommandError::new(
                ErrorKind::Unsupported,
                format!("`{folder}` in `{}` could not be read: {code}", process.pod),
            );
            Err(if complained.is_empty() {
                error
            } else {
                error.caused_by(complained)
            })
        }
    }
}

/// Puts a file in place of `name`, all at once, with the rights of what was there. What was there is kept under `dated`
/// or a name like it, which is returned.
///
/// # Errors
///
/// The folder cannot be written, which leaves the file that was there; the cluster refuses.
pub async fn put_in(
    cluster: &Cluster,
    process: &PodProcess,
    folder: &str,
    name: &str,
    bytes: &[u8],
    dated: &str,
) -> CommandResult<Option<String>> {
    let size = bytes.len().to_string();
    let command = ["sh", "-c", PUT, "sh", folder, name, dated, size.as_str()];
    let command = command.map(str::to_owned).to_vec();
    let mut connection = console::exec(cluster, process, command, false).await?;
    let failed = |cause: String| {
        CommandError::new(
            ErrorKind::Cluster,
            format!(
                "`{name}` could not be put into `{folder}` of `{}`",
                process.pod
            ),
        )
        .caused_by(cause)
        .hint("the file that was there is still there")
    };
    if let Err(error) = connection.send(bytes).await {
        return Err(failed(error.to_string()));
    }
    let (mut kept, mut complained) = (Vec::new(), Vec::new());
    while let Some(piece) = connection.output.next().await {
        match piece? {
            Piece::Output(bytes) => kept.extend_from_slice(&bytes),
            Piece::Error(bytes) => complained.extend_from_slice(&bytes),
        }
    }
    if connection.exit_code().await? != Some(0) {
        let complained = String::from_utf8_lossy(&complained).trim().to_owned();
        return Err(failed(complained));
    }
    let kept = String::from_utf8_lossy(&kept).trim().to_owned();
    Ok((!kept.is_empty()).then_some(kept))
}

/// What [`SCRIPT`] wrote. Pure.
fn entries(said: &str) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut lines = said.lines();
    while let Some(name) = lines.next() {
        let (size, seconds) = lines.next()?.split_once(' ')?;
        let size: u64 = size.parse().ok()?;
        let modified = Timestamp::from_second(seconds.parse().ok()?).ok()?;
        let mut coded = String::new();
        loop {
            match lines.next()? {
                "." => break,
                line => coded.push_str(line.trim_end()),
            }
        }
        let bytes = if size > LARGEST_FILE {
            None
        } else {
            Some(STANDARD.decode(coded).ok()?)
        };
        entries.push(Entry {
            name: name.to_owned(),
            size,
            modified,
            bytes,
        });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the script as a pod would, with the shell of this machine.
    fn run(folder: &std::path::Path, only: &str) -> (Option<i32>, Vec<Entry>) {
        let script = SCRIPT.replace("LIMIT", &LARGEST_FILE.to_string());
        let output = std::process::Command::new("sh")
            .args(["-c", &script, "sh", folder.to_str().unwrap(), only])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), entries(&said).unwrap())
    }

    #[test]
    fn the_script_tells_files_with_their_contents() {
        let folder = tempfile::tempdir().unwrap();
        let long = "X 1\n".repeat(1000);
        for (name, text) in [
            ("a.sav", long.as_str()),
            ("-n .sav", "A 1\n<END>\n"),
            ("empty.sav", ""),
        ] {
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        fs_err::create_dir(folder.path().join("below")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.sav")).unwrap();
        let (code, entries) = run(folder.path(), "");
        assert_eq!(code, Some(0));
        let now = Timestamp::now().as_second();
        let mut shown: Vec<(&str, u64, &[u8])> = entries
            .iter()
            .map(|entry| {
                assert!((now - entry.modified.as_second()).abs() < 600, "{entry:?}");
                (
                    entry.name.as_str(),
                    entry.size,
                    entry.bytes.as_deref().unwrap(),
                )
            })
            .collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [
                ("-n .sav", 10, b"A 1\n<END>\n".as_slice()),
                ("a.sav", 4000, long.as_bytes()),
                ("empty.sav", 0, b"")
            ]
        );
        assert_eq!(run(folder.path(), "empty.sav").1.len(), 1);
        assert_eq!(run(folder.path(), "none.sav"), (Some(0), vec![]));
        assert_eq!(run(&folder.path().join("none"), "").0, Some(3));
    }

    #[test]
    fn an_answer_that_was_cut_off_is_not_taken_for_less() {
        for said in [
            "a.sav\n",
            "a.sav\n4 0\n",
            "a.sav\n4 0\nQSAx\n",
            "a.sav\nx\n.\n",
            "a.sav\n4 0\n*\n.\n",
        ] {
            assert_eq!(entries(said), None, "{said:?}");
        }
        assert_eq!(entries(""), Some(vec![]));
    }
}
