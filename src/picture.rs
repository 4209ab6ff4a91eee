//! Pictures: drawn once, as SVG, and turned into pixels where a PNG is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend, WHITE};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::files::write_atomically;

/// Pixels of a PNG to one of the picture's units, so that it is sharp on paper.
const PNG_SCALE: f32 = 2.0;

/// Where a picture is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What drawing ends with; plotters' errors borrow nothing and tell themselves.
pub type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Draws an SVG of a size in pixels on white.
///
/// # Errors
/// Where `paint` fails.
pub fn draw(size: (u32, u32), paint: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| paint(&area));
        drawn.map_err(|error| anyhow!("cannot draw the picture: {error}"))?;
    }
    Ok(svg)
}

/// The path of a picture on the command line, refused before any work where its ending is none of a picture.
///
/// # Errors
/// Where it ends in neither `.svg` nor `.png`.
pub fn path(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    let ending = path.extension().unwrap_or_default();
    ensure!(ending == "svg" || ending == "png", "a picture is an .svg or a .png file; name it so");
    Ok(path)
}

/// Writes a drawn picture, as pixels where the file is named `.png`.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(svg: &str, path: &Path) -> Result<()> {
    if path.extension().is_some_and(|ending| ending == "png") {
        write_atomically(path, &png(svg)?)
    } else {
        write_atomically(path, svg.as_bytes())
    }
}

fn png(svg: &str) -> Result<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).context("cannot read the drawn picture")?;
    let [width, height] = [tree.size().width(), tree.size().height()].map(|length| (PNG_SCALE * length).ceil() as u32);
    let mut pixels =
        Pixmap::new(width, height).with_context(|| format!("no picture is {width}x{height} pixels large"))?;
    resvg::render(&tree, Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
    pixels.encode_png().context("cannot encode the picture")
}
