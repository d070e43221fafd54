//! The shell scripts that build a module and the application inside an image. Pure.
//!
//! A script says before each of its steps which one it is, in a line `::ioc OWNER PHASE INDEX`; when a step
//! fails, [`super::trace`] turns the last such line into the line of the recipe that asked for it.
//! Everything that comes from a recipe is quoted for the shell here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::image::catalog::Module;
use crate::image::chain::{Layer, Placed};
use crate::image::recipe::Edit;

/// First lines of every script.
const HEAD: &str = r#"#!/bin/bash
set -euo pipefail
step() { echo "::ioc $owner $1 $2"; }
fail() { echo "error: $*" >&2; exit 1; }
# A command of the recipe, in the module's folder, by a shell of its own.
run() { step "$1" "$2"; (cd "$folder" && bash -euo pipefail -c "$3"); }
# Certificates and proxy of the site, only while this runs.
[ ! -f /site/environment ] || . /site/environment
export CCACHE_DIR=/root/.cache/ccache
"#;

/// Functions for edits; the separator of the sed commands is a character that no recipe can hold.
const EDIT_FUNCTIONS: &str = r#"s=$'\001'
# edit INDEX FILES ACTION EXPRESSION [REPLACEMENT]
edit() {
    local files command
    step edit "$1"
    case $3 in
        delete) command="\\$s$4${s}d" ;;
        comment) command="\\$s$4${s}s/^/#/" ;;
        replace) command="s$s$4$s$5${s}g" ;;
    esac
    cd "$folder"
    files=$(compgen -G "$2") || fail "\`$2\` is not in the source"
    # shellcheck disable=SC2086 # several files
    grep -qE -e "$4" -- $files || fail "nothing in \`$2\` matches \`$4\`"
    # shellcheck disable=SC2086
    sed -i -E -e "$command" -- $files
}
append() {
    step edit "$1"
    printf '%s\n' "$3" >>"$folder/$2"
}
"#;

/// The script that builds a module, run with the module's part of the context at `/build`.
pub fn module(layer: &Layer<'_>, placed: &Placed<'_>) -> String {
    let module = placed.module;
    let recipe = &module.recipe;
    let mut script = String::from(HEAD);
    let _ = writeln!(script, "owner={}", module.name);
    let _ = writeln!(script, "folder={}", module.folder());
    if !recipe.edits.is_empty() {
        script.push_str(EDIT_FUNCTIONS);
    }
    script.push_str("step source 0\nmkdir -p \"$folder\"\ncp -a /build/source/. \"$folder\"/\n");
    for (index, path) in recipe.remove.iter().enumerate() {
        let _ = writeln!(
            script,
            "step remove {index}\n(cd \"$folder\" && compgen -G {0} >/dev/null || fail '`{1}` is not in the source'; rm -rf -- {1})",
            quote(&path.value),
            path.value
        );
    }
    for index in 0..recipe.patches.len() {
        let _ = writeln!(
            script,
            "step patches {index}\n(cd \"$folder\" && patch -p1 --forward --no-backup-if-mismatch <{})",
            patch_path("/build", index)
        );
    }
    if recipe.overlay.is_some() {
        script.push_str("step overlay 0\ncp -a /build/overlay/. \"$folder\"/\n");
    }
    for (index, edit) in recipe.edits.iter().enumerate() {
        script.push_str(&edit_line(index, &edit.value));
    }
    if release(layer, placed).is_some() {
        script.push_str("step release 0\ncp /build/RELEASE \"$folder\"/configure/RELEASE\n");
    }
    if config_site(layer, placed).is_some() {
        script.push_str(CONFIG_SITE);
    }
    for (index, command) in recipe.prepare.iter().enumerate() {
        let _ = writeln!(script, "run prepare {index} {}", quote(&command.value));
    }
    match &recipe.build {
        Some(commands) => {
            for (index, command) in commands.iter().enumerate() {
                let _ = writeln!(script, "run build {index} {}", quote(&command.value));
            }
        }
        None => script.push_str(&make(module)),
    }
    for (index, command) in recipe.finish.iter().enumerate() {
        let _ = writeln!(script, "run finish {index} {}", quote(&command.value));
    }
    script
}

/// Settings reach modules that do not look for them themselves, too.
const CONFIG_SITE: &str = r#"step config-site 0
cat /build/CONFIG_SITE.local >>"$folder"/configure/CONFIG_SITE.local
grep -q 'CONFIG_SITE\.local' "$folder"/configure/CONFIG_SITE 2>/dev/null ||
    printf '\n-include $(TOP)/configure/CONFIG_SITE.local\n' >>"$folder"/configure/CONFIG_SITE
"#;

fn make(module: &Module) -> String {
    let jobs = match &module.recipe.jobs {
        Some(jobs) => jobs.value.to_string(),
        None => "\"$(nproc)\"".to_owned(),
    };
    let mut command = format!("make -s -j{jobs}");
    for option in &module.recipe.make_options {
        let _ = write!(command, " {}", quote(&option.value));
    }
    // `O.*` folders go, installed files stay.
    format!("step make 0\n(cd \"$folder\" && {command})\nmake -s -C \"$folder\" clean\n")
}

fn edit_line(index: usize, edit: &Edit) -> String {
    let file = quote(&edit.file);
    let line = |action: &str, expression: &str, replacement: Option<&str>| {
        let replacement = replacement.map(|text| format!(" {}", quote(text)));
        format!(
            "edit {index} {file} {action} {}{}\n",
            quote(expression),
            replacement.unwrap_or_default()
        )
    };
    if let Some(text) = &edit.append {
        format!("append {index} {file} {}\n", quote(text))
    } else if let Some(expression) = &edit.delete {
        line("delete", expression, None)
    } else if let Some(expression) = &edit.comment {
        line("comment", expression, None)
    } else if let Some(expression) = &edit.replace {
        line("replace", expression, edit.with.as_deref())
    } else {
        // an edit without an action was refused when the recipe was read
        String::new()
    }
}

/// Where a patch stands below a folder.
pub fn patch_path(folder: &str, index: usize) -> String {
    format!("{folder}/patches/{index:02}.patch")
}

/// `configure/RELEASE` of a module: what it uses, most dependent first, so EPICS base is last. `None` when
/// there is nothing to say, and the file stays as it is.
pub fn release(layer: &Layer<'_>, placed: &Placed<'_>) -> Option<String> {
    let used = layer.closure(placed.uses.iter().map(String::as_str));
    if used.is_empty() && placed.module.recipe.release.is_empty() {
        return None;
    }
    let mut text = String::from("# written by ioc from the recipes of the modules\n");
    for (name, value) in &placed.module.recipe.release {
        text.push_str(&setting(name, value));
    }
    for used in used.into_iter().rev() {
        push_macros(&mut text, used.module);
    }
    Some(text)
}

/// `RELEASE` with all modules of an image, most dependent first.
pub fn shared_release(layer: &Layer<'_>) -> String {
    let mut text = String::from("# written by ioc: all modules of this image\n");
    for placed in layer.modules().rev() {
        push_macros(&mut text, placed.module);
    }
    text
}

fn push_macros(text: &mut String, module: &Module) {
    for name in module.macros() {
        let _ = writeln!(text, "{name} = {}", module.folder());
    }
}

/// `configure/CONFIG_SITE.local` of a module: its own settings after those that the modules it uses share.
pub fn config_site(layer: &Layer<'_>, placed: &Placed<'_>) -> Option<String> {
    let mut text = shared_settings(&layer.closure(placed.uses.iter().map(String::as_str)));
    let recipe = &placed.module.recipe;
    for (name, value) in recipe.shared_config_site.iter().chain(&recipe.config_site) {
        text.push_str(&setting(name, value));
    }
    (!text.is_empty()).then(|| format!("# written by ioc from the recipes of the modules\n{text}"))
}

fn shared_settings(modules: &[&Placed<'_>]) -> String {
    let mut merged: BTreeMap<&str, &str> = BTreeMap::new();
    for placed in modules {
        let shared = &placed.module.recipe.shared_config_site;
        merged.extend(
            shared
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
    }
    merged
        .iter()
        .map(|(name, value)| setting(name, value))
        .collect()
}

/// `NAME = value`; a value that begins with `+=`, `:=` or `?=` brings its own operator.
fn setting(name: &str, value: &str) -> String {
    if ["+=", ":=", "?="]
        .iter()
        .any(|operator| value.starts_with(operator))
    {
        format!("{name} {value}\n")
    } else if value.is_empty() {
        format!("{name} =\n")
    } else {
        format!("{name} = {value}\n")
    }
}

/// `configure/CONFIG_SITE.local` of the application: which dbds and libraries it takes, most dependent first.
pub fn application_settings(layer: &Layer<'_>) -> String {
    let linked = layer.linked();
    let own = layer
        .image
        .definition()
        .and_then(|definition| definition.application.clone())
        .unwrap_or_default();
    let mut text =
        String::from("# written by ioc from image.yaml and the recipes of the modules\n");
    text.push_str(&shared_settings(&linked));
    // The modules' order says who needs whom: the application first, EPICS base, which the makefile adds, last.
    let modules = || linked.iter().rev().map(|placed| &placed.module.recipe);
    let mut list = |name: &str, words: Vec<String>| {
        let mut seen: Vec<String> = Vec::new();
        for word in words {
            if !seen.contains(&word) {
                let _ = writeln!(text, "{name} += {word}");
                seen.push(word);
            }
        }
    };
    let dbds = linked
        .iter()
        .flat_map(|placed| placed.module.recipe.dbds.clone());
    list("IOC_DBDS", dbds.chain(own.dbds).collect());
    let libraries = modules().flat_map(|recipe| recipe.libraries.clone());
    list(
        "IOC_LIBS",
        own.libraries.into_iter().chain(libraries).collect(),
    );
    let system = modules().flat_map(|recipe| recipe.system_libraries.clone());
    list(
        "IOC_SYS_LIBS",
        own.system_libraries.into_iter().chain(system).collect(),
    );
    list("IOC_REGISTRARS", own.registrars);
    text
}

/// The script that builds the application, run with its part of the context at `/build`.
pub fn application() -> String {
    let mut script = String::from(HEAD);
    script.push_str(
        r#"owner=application
folder=/epics/ioc
step source 0
mkdir -p "$folder" /epics/support/configure
cp -a /build/source/. "$folder"/
cp /build/RELEASE /build/RELEASE.shell /epics/support/configure/
cp /build/CONFIG_SITE.local "$folder"/configure/CONFIG_SITE.local
step make 0
make -s -C "$folder" -j"$(nproc)"
# Whoever opens a shell in the developer image builds here.
chmod -R a+rwX "$folder"
"#,
    );
    script
}

/// The script that puts the start scripts and the console program in place.
pub fn scripts() -> String {
    let mut script = String::from(HEAD);
    script.push_str(
        r#"owner=scripts
folder=/epics/ioc
step source 0
mkdir -p "$folder"
for file in start stop liveness; do
    install -m 755 /build/$file.sh "$folder"/$file.sh
done
[ ! -f /build/inputrc ] || install -m 644 /build/inputrc /epics/inputrc
step make 0
gcc -O2 -Wall -o /usr/local/bin/ioc-console /build/ioc-console.c
ln -sf ioc-console /usr/local/bin/console
"#,
    );
    script
}

/// `RELEASE.shell`: one variable per macro, for start-up scripts that source it.
pub fn release_shell(variables: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        let _ = writeln!(text, "export {name}={}", quote(value));
    }
    text
}

/// Text as one word of a shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
