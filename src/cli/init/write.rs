//! Files, all or none: everything is written beside its place under another name first, and moved there once nothing can
//! fail any more but the move itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::remarks::listed;

/// Whether files that exist are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// They are left alone, and nothing is written.
    Keep,
    /// They are replaced.
    Replace,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// As usual.
    Anybody,
    /// Its owner.
    Owner,
}

/// A file to be.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: secrecy::SecretString,
    pub(super) reader: Reader,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// There is something that would be lost.
    #[error("there is already {}", list(.0))]
    Exists(Vec<PathBuf>),
    /// The system says no.
    #[error("{} cannot be written", .path.display())]
    Failed { path: PathBuf, source: io::Error },
}

fn list(paths: &[PathBuf]) -> String {
    listed(&paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
}

/// Writes all `files`, or none.
pub(super) fn write(files: &[File], existing: Existing) -> Result<(), WriteError> {
    let known =
        files.iter().map(|file| &file.path).filter(|path| path.symlink_metadata().is_ok()).cloned().collect::<Vec<_>>();
    if existing == Existing::Keep && !known.is_empty() {
        return Err(WriteError::Exists(known));
    }
    let mut staged = Staged::default();
    for file in files {
        staged.add(file).map_err(|source| WriteError::Failed { path: file.path.clone(), source })?;
    }
    let mut moved = Vec::new();
    for (draft, path) in &staged.files {
        if let Err(source) = fs::rename(draft, path) {
            // What was there before and has been replaced by force cannot come back; what is new goes.
            moved.iter().filter(|path| !known.contains(path)).for_each(|path: &PathBuf| discard(path));
            return Err(WriteError::Failed { path: path.clone(), source });
        }
        moved.push(path.clone());
    }
    Ok(())
}

/// Files under their first names, which go if they are not moved.
#[derive(Default)]
struct Staged {
    files: Vec<(PathBuf, PathBuf)>,
}

impl Staged {
    fn add(&mut self, file: &File) -> io::Result<()> {
        let folder =
            file.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        match file.reader {
            Reader::Anybody => fs::create_dir_all(folder)?,
            Reader::Owner => create_private(folder)?,
        }
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let draft = folder.join(format!(".{name}.{}", std::process::id()));
        self.files.push((draft.clone(), file.path.clone()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        restrict(&mut options, file.reader);
        let mut open = options.open(&draft)?;
        open.write_all(secrecy::ExposeSecret::expose_secret(&file.text).as_bytes())?;
        open.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.files.iter().for_each(|(draft, _)| discard(draft));
    }
}

fn discard(path: &Path) {
    // One that has been moved is not there any more.
    fs::remove_file(path).ok();
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Who else can see what is in `folder`, which may have been there before.
#[cfg(unix)]
pub(super) fn readers(folder: &Path) -> Reader {
    use std::os::unix::fs::PermissionsExt;
    let is_open = fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    if is_open { Reader::Anybody } else { Reader::Owner }
}

#[cfg(not(unix))]
pub(super) fn readers(_folder: &Path) -> Reader {
    Reader::Owner
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, reader: Reader) {
    use std::os::unix::fs::OpenOptionsExt;
    match reader {
        Reader::Anybody => {}
        Reader::Owner => {
            options.mode(0o600);
        }
    }
}

#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions, _reader: Reader) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, reader: Reader) -> File {
        File { path, text: "text".to_owned().into(), reader }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_can_be_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/one");
        write(&[file(path.clone(), Reader::Owner)], Existing::Keep).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn nothing_is_written_where_one_file_exists_unless_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        fs::write(&two, "before").unwrap();
        let files = [file(one.clone(), Reader::Anybody), file(two.clone(), Reader::Anybody)];
        let refused = write(&files, Existing::Keep);
        assert!(matches!(refused, Err(WriteError::Exists(paths)) if paths == [two.clone()]));
        assert_eq!((one.exists(), fs::read_to_string(&two).unwrap().as_str()), (false, "before"));
        write(&files, Existing::Replace).unwrap();
        assert_eq!(fs::read_to_string(&two).unwrap(), "text");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a draft was left behind");
    }

    #[test]
    fn what_was_moved_is_taken_back_where_the_rest_cannot_follow() {
        let folder = tempfile::tempdir().unwrap();
        let (one, taken) = (folder.path().join("one"), folder.path().join("taken"));
        fs::create_dir(&taken).unwrap();
        let failed = write(&[file(one.clone(), Reader::Anybody), file(taken, Reader::Anybody)], Existing::Replace);
        assert!(matches!(failed, Err(WriteError::Failed { .. })));
        assert_eq!((one.exists(), fs::read_dir(folder.path()).unwrap().count()), (false, 1));
    }
}
