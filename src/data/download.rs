//! Downloads a file from the first mirror that delivers the right content.

use std::env;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Source;
use super::idx::IdxFile;
use crate::files::write_atomically;

/// A download that takes longer is aborted, even if bytes still arrive.
const MAX_DURATION: Duration = Duration::from_secs(300);
/// Far above the largest file of MNIST (10 MB), and far below what would do harm.
const MAX_BYTES: u64 = 64 << 20;

/// Fetches files from mirrors, starting with the one that delivered the last file.
pub(super) struct Downloader {
    agent: ureq::Agent,
    mirrors: Vec<String>,
    show_progress: bool,
}

impl Downloader {
    /// # Errors
    /// If `SSL_CERT_FILE` or `SSL_CERT_DIR` contains no certificate.
    pub(super) fn new(source: &Source, show_progress: bool) -> Result<Self> {
        let patience = Some(source.patience);
        let config = ureq::Agent::config_builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(root_certificates()?).build())
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience)
            .timeout_global(Some(MAX_DURATION))
            .build();
        Ok(Self { agent: config.into(), mirrors: source.mirrors.clone(), show_progress })
    }

    /// Fetches the file `name`, whose unpacked content has the given SHA-256, and keeps it as `name.gz` in `folder`.
    ///
    /// # Errors
    /// If the folder cannot be written to, or no mirror delivers the right file; the error says what was wrong with
    /// each.
    pub(super) fn fetch(&mut self, name: &str, sha256: &str, folder: &Path) -> Result<IdxFile> {
        let cannot_write = || format!("cannot write into the cache folder {}", folder.display());
        // Check before the download, which would be in vain if the file cannot be saved.
        ensure_writable(folder).with_context(cannot_write)?;
        let mut failures = Vec::new();
        for index in 0..self.mirrors.len() {
            let address = format!("{}{name}.gz", self.mirrors[index]);
            match self.fetch_from(&address, sha256) {
                Ok((bytes, file)) => {
                    write_atomically(&folder.join(format!("{name}.gz")), &bytes)?;
                    self.mirrors[..=index].rotate_right(1);
                    return Ok(file);
                }
                Err(error) => failures.push(format!("\n  {error:#}")),
            }
        }
        bail!("cannot download {name}:{}", failures.concat())
    }

    /// The downloaded bytes, and the file in them.
    fn fetch_from(&self, address: &str, sha256: &str) -> Result<(Vec<u8>, IdxFile)> {
        let body = self.agent.get(address).call().with_context(|| address.to_owned())?.into_body();
        let progress = self.progress_bar(address, body.content_length())?;
        let mut bytes = Vec::new();
        let read = progress.wrap_read(body.into_reader()).take(MAX_BYTES).read_to_end(&mut bytes);
        read.with_context(|| format!("{address}: the connection ended after {} bytes", bytes.len()))?;
        let file = IdxFile::unpack(address.to_owned(), bytes.clone())?.with_sha256(sha256)?;
        Ok((bytes, file))
    }

    /// A progress bar on stderr. It is hidden if stderr is not a terminal, and is removed when dropped.
    fn progress_bar(&self, address: &str, length: Option<u64>) -> Result<ProgressBar> {
        let bar = match (self.show_progress, length) {
            (false, _) => ProgressBar::hidden(),
            (true, Some(length)) => ProgressBar::new(length),
            (true, None) => ProgressBar::no_length(),
        };
        let style = ProgressStyle::with_template("{msg} [{bar:20}] {bytes}/{total_bytes}, {bytes_per_sec}")?;
        Ok(bar.with_style(style).with_message(address.to_owned()))
    }
}

/// The trusted root certificates: the system's (which may include one of a company's proxy), or those that the
/// environment names. If the system has none, as in small containers, Mozilla's are used.
fn root_certificates() -> Result<RootCerts> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into());
    }
    if let Some(variable) = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| env::var_os(name).is_some()) {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        bail!("${variable} contains no readable certificate; correct or unset it: {}", why.join("; "));
    }
    Ok(RootCerts::WebPki)
}

fn ensure_writable(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder).map(|_| ())
}
