//! Where certificates are kept: the Secret of the own namespace, or a folder (PL-42, PL-45, IN-39).
//!
//! Reads are live and writes are conditional: of two replicas that decide at once one loses and decides again. What to
//! write is `plan`. In the Secret the note of previous authorities is an annotation, so that the keys stay the six that
//! other readers know; in a folder it is a file of its own.

use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use tokio::fs;

use super::material::{CA_CERT, CA_KEY, SERVING_CERT, SERVING_KEY};
use super::plan::{Previous, Stored};

/// Annotation of the Secret with the note of previous authorities, as JSON.
pub const PREVIOUS_ANNOTATION: &str = "kruise.io/webhook-previous-ca";
/// File with the note of previous authorities.
const PREVIOUS_FILE: &str = "previous-ca.json";
/// Symbolic link to the folder that holds the files: moving it switches all of them at once.
const CURRENT: &str = "..data";
/// Prefix of the folders behind [`CURRENT`].
const GENERATION: &str = "..gen-";

/// The certificates can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The API server refused; check the Role of the webhook in its namespace.
    #[error("{verb} Secret {name}")]
    Secret {
        /// What was tried.
        verb: &'static str,
        /// The Secret.
        name: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The folder can't be read or written; check `WEBHOOK_CERT_DIR`.
    #[error("{verb} {}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A note of ours can't be written as JSON.
    #[error("encode the note of previous authorities")]
    Note(#[from] serde_json::Error),
}

/// A place for certificates.
#[derive(Clone, Debug)]
pub enum Store {
    /// A Secret.
    Secret {
        /// Secrets of the own namespace.
        api: Box<Api<Secret>>,
        /// Its name.
        name: String,
    },
    /// A folder.
    Files {
        /// The folder.
        dir: PathBuf,
    },
}

/// What was read, with what a conditional write needs.
#[derive(Debug)]
pub struct Found {
    /// The state.
    pub stored: Stored,
    origin: Option<Box<Secret>>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lost write must be decided again"]
pub enum Written {
    /// It is stored.
    Done,
    /// Another replica was faster: read and decide again.
    Lost,
}

impl Store {
    /// Reads the stored state; `None` where nothing is stored.
    ///
    /// # Errors
    /// Fails where the state can't be read, which is not the same as nothing being stored.
    pub async fn read(&self) -> Result<Option<Found>, StoreError> {
        match self {
            Self::Secret { api, name } => {
                let secret = api.get_opt(name).await.map_err(|source| secret_error("get", name, source))?;
                Ok(secret.map(|secret| {
                    let data = secret.data.clone().unwrap_or_default();
                    // A note that can't be read is one that nobody can act on.
                    let previous = secret
                        .annotations()
                        .get(PREVIOUS_ANNOTATION)
                        .and_then(|text| serde_json::from_str::<Previous>(text).ok());
                    Found {
                        stored: Stored {
                            data: data.into_iter().map(|(key, ByteString(content))| (key, content)).collect(),
                            previous,
                        },
                        origin: Some(Box::new(secret)),
                    }
                }))
            }
            Self::Files { dir } => read_files(dir).await,
        }
    }

    /// Writes the state, if the place still holds what was `found`.
    ///
    /// # Errors
    /// Fails where the state can't be written.
    pub async fn write(&self, found: Option<&Found>, stored: &Stored) -> Result<Written, StoreError> {
        let note = stored.previous.as_ref().map(serde_json::to_string).transpose()?;
        match self {
            Self::Secret { api, name } => {
                let origin = found.and_then(|found| found.origin.as_deref());
                let mut secret = origin.cloned().unwrap_or_default();
                secret.metadata.name = Some(name.clone());
                // Keys that are not ours stay: the Secret may carry what its type demands.
                let data = secret.data.get_or_insert_default();
                data.extend(stored.data.iter().map(|(key, content)| (key.clone(), ByteString(content.clone()))));
                match note {
                    Some(note) => drop(secret.annotations_mut().insert(PREVIOUS_ANNOTATION.to_owned(), note)),
                    None => drop(secret.annotations_mut().remove(PREVIOUS_ANNOTATION)),
                }
                let params = PostParams::default();
                let answer = match origin {
                    None => api.create(&params, &secret).await,
                    // The read resourceVersion travels in the metadata and makes the update conditional (PL-42).
                    Some(_) => api.replace(name, &params, &secret).await,
                };
                match answer {
                    Ok(_) => Ok(Written::Done),
                    Err(kube::Error::Api(status)) if status.is_already_exists() || status.is_conflict() => {
                        Ok(Written::Lost)
                    }
                    Err(source) => Err(secret_error(if origin.is_some() { "update" } else { "create" }, name, source)),
                }
            }
            Self::Files { dir } => write_files(dir, stored, note).await.map(|()| Written::Done),
        }
    }
}

fn secret_error(verb: &'static str, name: &str, source: kube::Error) -> StoreError {
    StoreError::Secret { verb, name: name.to_owned(), source: Box::new(source) }
}

fn file_error(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::File { verb, path, source }
}

/// Names of the files: the six keys of the Secret.
fn file_names() -> impl Iterator<Item = &'static str> {
    [CA_KEY, CA_CERT].into_iter().chain(SERVING_KEY).chain(SERVING_CERT)
}

async fn read_files(dir: &Path) -> Result<Option<Found>, StoreError> {
    // Resolved once: the files are of one generation even when another one is moved in meanwhile.
    let current = match fs::canonicalize(dir.join(CURRENT)).await {
        Ok(current) => current,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => dir.to_path_buf(),
        Err(err) => return Err(file_error("resolve", &dir.join(CURRENT))(err)),
    };
    let mut stored = Stored { data: std::collections::BTreeMap::new(), previous: None };
    for name in file_names() {
        if let Some(content) = read_if_present(&current.join(name)).await? {
            stored.data.insert(name.to_owned(), content);
        }
    }
    if stored.data.is_empty() {
        return Ok(None);
    }
    let note = read_if_present(&current.join(PREVIOUS_FILE)).await?;
    stored.previous = note.and_then(|text| serde_json::from_slice(&text).ok());
    Ok(Some(Found { stored, origin: None }))
}

async fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path).await {
        Ok(content) => Ok(Some(content)),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(file_error("read", path)(err)),
    }
}

/// Writes a new generation and moves the link, so that no reader sees a mixed pair (PL-45).
async fn write_files(dir: &Path, stored: &Stored, note: Option<String>) -> Result<(), StoreError> {
    private_folder(dir).await?;
    let before = fs::read_link(dir.join(CURRENT)).await.ok();
    let number = before
        .as_ref()
        .and_then(|link| link.to_str()?.strip_prefix(GENERATION)?.parse::<u64>().ok())
        .map_or(1, |number| number.saturating_add(1));
    let generation = format!("{GENERATION}{number}");
    let folder = dir.join(&generation);
    private_folder(&folder).await?;
    for (name, content) in &stored.data {
        private_file(&folder.join(name), content).await?;
    }
    if let Some(note) = note {
        private_file(&folder.join(PREVIOUS_FILE), note.as_bytes()).await?;
    }
    move_link(dir, CURRENT, &generation).await?;
    for name in file_names() {
        move_link(dir, name, &format!("{CURRENT}/{name}")).await?;
    }
    if let Some(before) = before {
        let old = dir.join(before);
        fs::remove_dir_all(&old).await.map_err(file_error("remove", &old))?;
    }
    Ok(())
}

/// Points a link at a target; the rename replaces an older link in one step.
async fn move_link(dir: &Path, name: &str, target: &str) -> Result<(), StoreError> {
    let (link, fresh) = (dir.join(name), dir.join(format!("{name}.tmp")));
    match fs::remove_file(&fresh).await {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(file_error("remove", &fresh)(err)),
        _ => {}
    }
    fs::symlink(target, &fresh).await.map_err(file_error("link", &fresh))?;
    fs::rename(&fresh, &link).await.map_err(file_error("rename", &link))
}

/// Keys on disk are readable by the owner only (IN-37).
async fn private_file(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    use tokio::io::AsyncWriteExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).await.map_err(file_error("create", path))?;
    file.write_all(content).await.map_err(file_error("write", path))?;
    file.sync_all().await.map_err(file_error("sync", path))
}

async fn private_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).await.map_err(file_error("create", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn stored(text: &str) -> Stored {
        Stored { data: file_names().map(|name| (name.to_owned(), text.into())).collect(), previous: None }
    }

    #[tokio::test] // PL-45, IN-37
    async fn files_are_private_and_switch_together() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("certs");
        let store = Store::Files { dir: dir.clone() };
        assert!(store.read().await.unwrap().is_none());
        for text in ["first", "second", "third"] {
            let found = store.read().await.unwrap();
            assert_eq!(store.write(found.as_ref(), &stored(text)).await.unwrap(), Written::Done);
            assert_eq!(store.read().await.unwrap().unwrap().stored, stored(text));
        }
        for name in file_names() {
            assert_eq!(std::fs::read(dir.join(name)).unwrap(), b"third");
            assert_eq!(std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        let generations = std::fs::read_dir(&dir)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with(GENERATION));
        assert_eq!(generations.count(), 1);
    }

    #[tokio::test]
    async fn plain_files_that_somebody_put_there_are_read() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(CA_CERT), "x").unwrap();
        let store = Store::Files { dir: root.path().to_path_buf() };
        assert_eq!(store.read().await.unwrap().unwrap().stored.data.len(), 1);
        assert_eq!(store.write(None, &stored("y")).await.unwrap(), Written::Done);
        assert_eq!(store.read().await.unwrap().unwrap().stored, stored("y"));
    }
}
