//! Which forms of a report are written where: the flags of `run`, and the command `report`.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;

use super::{Badge, Report, html, junit, markdown, merge};

/// Forms that are made from the JSON reports.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Rendered {
    /// Write JUnit XML to this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a summary in Markdown to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write a badge to this file as SVG, and beside it as NAME.endpoint.json what shields.io reads.
    #[arg(long, value_name = "FILE")]
    badge: Option<PathBuf>,
    /// Write one HTML page, which needs nothing else, to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Rendered {
    /// Writes the forms that are asked for.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, reports: &[Report]) -> io::Result<()> {
        if let Some(path) = &self.junit {
            replace_file(path, &junit(reports)?)?;
        }
        if let Some(path) = &self.markdown {
            replace_file(path, &markdown(reports))?;
        }
        if let Some(path) = &self.badge {
            let badge = Badge::of(reports);
            replace_file(path, &badge.svg())?;
            replace_file(&path.with_extension("endpoint.json"), &format!("{}\n", badge.endpoint()))?;
        }
        if let Some(path) = &self.html {
            replace_file(path, &html(reports)?)?;
        }
        Ok(())
    }
}

/// What `report` reads and writes.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Report of a run (`run --json`). Several may be given: the parts of one run become one report, any other is one of its
    /// own.
    #[arg(long, value_name = "FILE", required = true)]
    json: Vec<PathBuf>,
    /// Write the report that was made from the parts of a run to this file.
    #[arg(long, value_name = "FILE")]
    merged: Option<PathBuf>,
    #[command(flatten)]
    rendered: Rendered,
}

/// Reads reports, puts the parts of a run together, and writes what is asked for.
///
/// # Errors
/// When a file cannot be read or written, and when parts do not belong together.
pub(crate) fn run(arguments: &ReportArguments) -> Result<Vec<Report>, Box<dyn Error>> {
    let reports = arguments.json.iter().map(|path| Report::read(path)).collect::<io::Result<Vec<_>>>()?;
    let reports = merge(reports)?;
    if let Some(path) = &arguments.merged {
        let [report] = reports.as_slice() else { return Err("--merged takes the parts of one run only".into()) };
        replace_file(path, &report.to_json()?)?;
    }
    arguments.rendered.write(&reports)?;
    Ok(reports)
}

/// Writes a file that holds either its old content or all of the new one, never a part.
pub(crate) fn replace_file(path: &Path, content: &str) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(named)?;
    file.write_all(content.as_bytes()).map_err(named)?;
    make_readable(file.as_file()).map_err(named)?;
    file.persist(path).map_err(|error| named(error.error))?;
    Ok(())
}

/// Temporary files are for their owner's eyes only; a report is not secret.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> io::Result<()> {
    Ok(())
}
