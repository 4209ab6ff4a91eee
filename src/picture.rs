//! Pictures: drawn once, as SVG, and turned into pixels where a PNG is asked for.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, RGBColor, SVGBackend, WHITE};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::files::Destination;

/// Pixels of a PNG to one of the picture's units, so that it is sharp on paper.
const PNG_SCALE: f32 = 2.0;

/// Colours that people with any colour vision tell apart (Okabe & Ito, "Color universal design", 2008).
pub const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(120, 120, 120),
];

/// Lines of a grid.
pub const GRID: RGBColor = RGBColor(225, 225, 225);

/// Where a picture is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What drawing ends with; plotters' errors borrow nothing and tell themselves.
pub type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A drawn picture.
#[derive(Clone, Debug)]
pub struct Picture {
    svg: String,
}

impl Picture {
    /// Draws a picture of a size in pixels on white.
    ///
    /// # Errors
    /// Where `paint` fails.
    pub fn draw(size: (u32, u32), paint: impl FnOnce(&Area<'_>) -> Drawn) -> Result<Self> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| paint(&area));
            drawn.map_err(|error| anyhow!("cannot draw the picture: {error}"))?;
        }
        Ok(Self { svg })
    }

    /// Lays an image upon it, its upper left corner at `place`, each pixel `scale` units wide and sharp.
    ///
    /// # Errors
    /// Where the image cannot be encoded.
    pub fn embed(&mut self, image: &RgbImage, place: (i32, i32), scale: u32) -> Result<()> {
        let mut png = std::io::Cursor::new(Vec::new());
        image.write_to(&mut png, ImageFormat::Png).context("cannot encode an image")?;
        let data = BASE64_STANDARD.encode(png.into_inner());
        let [width, height] = [image.width(), image.height()].map(|length| length * scale);
        let (x, y) = place;
        let element = format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering:pixelated\" \
             href=\"data:image/png;base64,{data}\"/>\n"
        );
        let end = self.svg.rfind("</svg>").context("the picture has no end")?;
        self.svg.insert_str(end, &element);
        Ok(())
    }

    /// Its text.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// Writes it, as pixels where the file is named `.png`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, output: &Destination) -> Result<()> {
        match output {
            Destination::File(path) if path.extension().is_some_and(|ending| ending == "png") => {
                output.write(&self.png()?)
            }
            _ => output.write(self.svg.as_bytes()),
        }
    }

    fn png(&self) -> Result<Vec<u8>> {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
        let tree = Tree::from_str(&self.svg, &options).context("cannot read the drawn picture")?;
        let side = |length: f32| (PNG_SCALE * length).ceil() as u32;
        let (width, height) = (side(tree.size().width()), side(tree.size().height()));
        let mut pixels =
            Pixmap::new(width, height).with_context(|| format!("no picture is {width}x{height} pixels large"))?;
        resvg::render(&tree, Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
        pixels.encode_png().context("cannot encode the picture")
    }
}

/// Where the command line wants a picture: a file, refused before any work where its ending is none of a picture, or standard
/// output, which takes SVG.
///
/// # Errors
/// Where a file ends in neither `.svg` nor `.png`.
pub fn destination(name: OsString) -> Result<Destination> {
    let output = Destination::from(name);
    if let Destination::File(path) = &output {
        let ending = path.extension().unwrap_or_default();
        ensure!(ending == "svg" || ending == "png", "a picture is an .svg or a .png file; name it so");
    }
    Ok(output)
}
