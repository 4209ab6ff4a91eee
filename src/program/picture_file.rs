//! Files of pictures: SVG, or pixels in PNG.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::files::Destination;
use crate::picture::Picture;

/// Pixels of a PNG per unit of the picture, so that it is sharp in print.
const PNG_SCALE: f32 = 3.0;

/// Writes a picture, as pixels if the file's name ends in `.png`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_picture(picture: &Picture, output: &Destination) -> Result<()> {
    match output {
        Destination::File(path) if path.extension().is_some_and(|ending| ending == "png") => {
            output.write(&png(picture)?)
        }
        _ => output.write(picture.svg().as_bytes()),
    }
}

fn png(picture: &Picture) -> Result<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(&picture.svg(), &options).context("cannot read the drawn picture")?;
    let side = |length: f32| (PNG_SCALE * length).ceil() as u32;
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    let mut pixels =
        Pixmap::new(width, height).with_context(|| format!("cannot make a picture of {width}x{height} pixels"))?;
    resvg::render(&tree, Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
    pixels.encode_png().context("cannot encode the picture")
}

/// Parses the destination of a picture: a file with the extension of a picture, or standard output, which gets SVG.
///
/// # Errors
/// If a file's name ends in neither `.svg` nor `.png`.
pub fn picture_destination(name: OsString) -> Result<Destination> {
    let output = Destination::from(name);
    let is_one = output == Destination::StandardOutput || output.is_picture();
    ensure!(is_one, "the file's name must end in .svg or .png");
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::text::Style;

    #[test]
    fn any_text_can_be_drawn_and_read_again() {
        let mut picture = Picture::new(100.0);
        picture.text((5.0, 10.0), Style::new(13.0), "<script>&\"\u{1b}[31m\u{0}→");
        assert!(picture.svg().contains("&lt;script&gt;&amp;&quot;\u{fffd}[31m\u{fffd}→"));
        assert!(!png(&picture).unwrap().is_empty());
    }
}
