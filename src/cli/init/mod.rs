//! `faregate init`: a first configuration, from the keys that are set or from what another proxy was told.
//!
//! Importers turn a text into a draft, the draft becomes texts, and the texts are loaded before they are written: what
//! this command writes, `serve` starts with. A key that stood in an imported file is written into a file of its own,
//! never into the configuration, and is never printed.

mod draft;
mod environment;
mod fault;
mod laid;
mod layout;
mod litellm;
mod models;
mod names;
mod one_api;
mod places;
mod policy_text;
mod remarks;
mod report;
mod retired;
mod route_names;
mod said;
mod texts;
mod toml_text;
mod tree;
mod write;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;

use self::draft::{Draft, printable};
use self::fault::Fault;
use self::layout::{Keep, Layout, layout};
use self::places::Catalogue;
use self::report::Made;
use self::texts::{KEYS, POLICY, Proof, Texts};
use self::write::{Existing, File, Reader, WriteError};
use super::{complain, environment as variable, print};
use crate::policy::Builtin;
use crate::runtime;

/// What may be asked of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Take over the config.yaml of LiteLLM's proxy (`-`: standard input).
    #[arg(long, value_name = "FILE", conflicts_with = "from_one_api")]
    from_litellm: Option<PathBuf>,
    /// Take over the channels of one-api or new-api, all pages that their API gives, one after another (`-`: standard input).
    #[arg(long, value_name = "FILE")]
    from_one_api: Option<PathBuf>,
    /// Copy this built-in policy beside it, to be changed (`faregate policy list` has their names).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from_litellm", "from_one_api"])]
    policy: Option<String>,
    /// Where to write; policy.toml and keys/ come beside it (`-`: standard output, and no files).
    #[arg(short, long, value_name = "FILE", default_value = "faregate.toml")]
    output: PathBuf,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
}

/// Runs it. 2 is for whatever was given that cannot be used.
pub(super) fn run(args: &InitArgs) -> anyhow::Result<u8> {
    let catalogue = Catalogue::new();
    let (drafted, source) = match (&args.from_litellm, &args.from_one_api) {
        (Some(path), _) => (read(path)?.and_then(|text| litellm::draft(&text, &catalogue, &variable)), Some(path)),
        (None, Some(path)) => (read(path)?.and_then(|text| one_api::draft(&text, &catalogue)), Some(path)),
        (None, None) => match copied(args.policy.as_deref()) {
            Ok(copied) => (Ok(environment::draft(&catalogue, &variable).with_policy(copied)), None),
            Err(complaint) => {
                complain(&format!("error: {complaint}"));
                return Ok(2);
            }
        },
    };
    match (drafted, source) {
        (Err(fault), source) => Ok(refuse(&fault, source)),
        (Ok(draft), None) if draft.deployments.is_empty() => {
            complain(environment::nothing_set(&catalogue).trim_end());
            Ok(2)
        }
        (Ok(draft), source) if draft.deployments.is_empty() => {
            complain(&report::remarks(&draft));
            Ok(refuse(&Fault::NothingLeft, source))
        }
        (Ok(draft), source) => settle(args, &draft, source, &catalogue),
    }
}

/// The built-in policy called `name`, if one is asked for; else what is wrong with the name.
fn copied(name: Option<&str>) -> Result<Option<&'static Builtin>, String> {
    name.map(super::policy_command::named).transpose()
}

fn refuse(fault: &Fault, source: Option<&PathBuf>) -> u8 {
    let file = source.map(|path| format!("{}: ", path.display())).unwrap_or_default();
    complain(&printable(&format!("error: {file}{fault}")));
    complain(&format!("  hint: {}", fault.remedy()));
    2
}

/// A file's text, within bounds.
fn read(path: &Path) -> anyhow::Result<Result<String, Fault>> {
    let source: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let cannot = || format!("{} cannot be read", path.display());
        Box::new(std::fs::File::open(path).with_context(cannot)?)
    };
    let mut bytes = Vec::new();
    source
        .take(tree::LARGEST + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > tree::LARGEST {
        return Ok(Err(Fault::TooLarge(tree::LARGEST >> 20)));
    }
    let no_text = |_| Fault::Syntax { language: "text", line: 1, column: 1, why: "it is not UTF-8".to_owned() };
    Ok(String::from_utf8(bytes).map_err(no_text))
}

/// Writes what `draft` comes to, if it can be used.
fn settle(args: &InitArgs, draft: &Draft, source: Option<&PathBuf>, catalogue: &Catalogue) -> anyhow::Result<u8> {
    let to_stdout = args.output == Path::new("-");
    let keep = if to_stdout { Keep::Variables } else { Keep::Files };
    let layout = layout(draft, keep, catalogue);
    let texts = Texts::new(draft, &layout, &origin(args, source));
    let Some(proof) = usable(args, &texts, &layout) else { return Ok(2) };
    if to_stdout {
        print(&texts.configuration)?;
        texts
            .policy
            .iter()
            .try_for_each(|policy| print(&format!("\n# ---- policy.toml, a file of its own ----\n{policy}")))?;
    } else if let Some(code) = put(args, &texts, &layout)? {
        return Ok(code);
    }
    let made = Made { draft, layout: &layout, texts: &texts, proof: &proof };
    complain(&report::report(&made, &args.output, &variable));
    Ok(0)
}

/// What loading the files shows; `None`, and why, if they cannot be used.
fn usable(args: &InitArgs, texts: &Texts, layout: &Layout) -> Option<Proof> {
    if let Some(name) = collision(&args.output, texts, layout) {
        complain(&format!("error: nothing was written: `{name}` beside the configuration is for what belongs to it"));
        complain("  hint: choose another name for the configuration: `--output faregate.toml`");
        return None;
    }
    let name = args.output.file_name().filter(|_| args.output != Path::new("-"));
    let name = name.map_or_else(|| Path::new("faregate.toml"), Path::new);
    let proof = texts.prove(name, runtime::wall_clock());
    let refused = "error: nothing was written, since it would not pass `faregate check`:";
    proof.map_err(|diagnostics| complain(&format!("{refused}\n\n{diagnostics}"))).ok()
}

/// Where it comes from, for the first line of the files.
fn origin(args: &InitArgs, source: Option<&PathBuf>) -> String {
    match (&args.from_litellm, source) {
        (_, None) => " from the keys that were set".to_owned(),
        (Some(_), Some(path)) => format!(" from LiteLLM's {}", path.display()),
        (None, Some(path)) => format!(" from the channels in {}", path.display()),
    }
}

/// The name of what is written beside the configuration, if that has the same. Some file systems ignore the case.
fn collision(output: &Path, texts: &Texts, layout: &Layout) -> Option<&'static str> {
    let name = output.file_name()?;
    let policy = texts.policy.is_some().then_some(POLICY);
    let keys = (!layout.files.is_empty()).then_some(KEYS);
    policy.into_iter().chain(keys).find(|one| name.eq_ignore_ascii_case(one))
}

/// Writes the files; an exit code if they may not be written.
fn put(args: &InitArgs, texts: &Texts, layout: &Layout) -> anyhow::Result<Option<u8>> {
    let folder = args.output.parent().unwrap_or_else(|| Path::new(""));
    let file = |path: PathBuf, text: SecretString, reader| File { path, text, reader };
    // The configuration comes last: once it is there, so is all that it names.
    let keys = layout.files.iter().map(|(name, key)| file(folder.join(KEYS).join(name), key.0.clone(), Reader::Owner));
    let policy = texts.policy.iter().map(|text| file(folder.join(POLICY), text.clone().into(), Reader::Anybody));
    let configuration = file(args.output.clone(), texts.configuration.clone().into(), Reader::Anybody);
    let files = keys.chain(policy).chain([configuration]).collect::<Vec<_>>();
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    match write::write(&files, existing) {
        Ok(()) => {
            let keys = folder.join(KEYS);
            if !layout.files.is_empty() && write::readers(&keys) == Reader::Anybody {
                // Whose folder it is besides is not known here, so it stays as it is.
                complain(&format!("{0} was there before, and open to others than you: chmod 700 {0}", keys.display()));
            }
            Ok(None)
        }
        Err(error @ WriteError::Exists(_)) => {
            complain(&format!("error: nothing was written: {error}"));
            complain("  hint: write elsewhere with `--output FILE`, or replace what is there with `--force`");
            Ok(Some(2))
        }
        Err(error @ WriteError::Failed { .. }) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
