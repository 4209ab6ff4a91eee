//! The line along which points lie.

/// The main axis of some points: their mean, its direction, and how far they lie along it and beside it.
pub(super) struct Axis {
    pub(super) mean: [f32; 2],
    /// The direction, of length 1.
    pub(super) along: [f32; 2],
    /// The variances along the axis and across it.
    pub(super) variances: [f32; 2],
}

impl Axis {
    /// The axis of least squared distances: the main eigenvector of the covariance.
    pub(super) fn of(points: impl Iterator<Item = [f32; 2]> + Clone) -> Self {
        let count = points.clone().count().max(1) as f32;
        let mean = [0, 1].map(|axis| points.clone().map(|at| at[axis]).sum::<f32>() / count);
        let moment =
            |a: usize, b: usize| points.clone().map(|at| (at[a] - mean[a]) * (at[b] - mean[b])).sum::<f32>() / count;
        let [xx, xy, yy] = [moment(0, 0), moment(0, 1), moment(1, 1)];
        let (sin, cos) = (0.5 * (2.0 * xy).atan2(xx - yy)).sin_cos();
        let along = xx * cos * cos + 2.0 * xy * sin * cos + yy * sin * sin;
        Self { mean, along: [cos, sin], variances: [along, (xx + yy - along).max(0.0)] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::is_in_bar;
    use super::*;

    fn points_of(is_point: impl Fn(usize, usize) -> bool) -> Vec<[f32; 2]> {
        let pixels = (0..100).flat_map(|y| (0..100).map(move |x| (x, y)));
        pixels.filter(|&(x, y)| is_point(x, y)).map(|(x, y)| [x as f32, y as f32]).collect()
    }

    #[test]
    fn points_on_a_line_lie_along_its_direction() {
        let points = (0..11).map(|step| [3.0 + 0.6 * step as f32, 7.0 - 0.8 * step as f32]);
        let Axis { mean, along, variances } = Axis::of(points);
        let is_near = |a: f32, b: f32| (a - b).abs() < 1e-3;
        assert!(is_near(mean[0], 6.0) && is_near(mean[1], 3.0), "{mean:?}");
        assert!(is_near(along[0], 0.6) && is_near(along[1], -0.8), "{along:?}");
        assert!(is_near(variances[0], 10.0) && is_near(variances[1], 0.0), "{variances:?}");
    }

    #[test]
    fn variances_tell_length_and_thickness_of_a_bar_at_any_angle() {
        for degrees in [0.0f32, 30.0, 80.0, 90.0, 135.0, 170.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let ends = [-30.0, 30.0].map(|step| [50.0 + step * cos, 50.0 + step * sin]);
            let points = points_of(|x, y| is_in_bar(ends, 6.0, x, y));
            let Axis { along, variances, .. } = Axis::of(points.iter().copied());
            let [length, thickness] = variances.map(|variance| (12.0 * variance).sqrt());
            assert!((length - 60.0).abs() < 3.0 && (thickness - 6.0).abs() < 1.5, "{degrees}: {length}, {thickness}");
            assert!((along[0] * cos + along[1] * sin).abs() > 0.999, "{degrees}: {along:?}");
        }
    }

    #[test]
    fn a_disc_has_no_longer_side() {
        let points = points_of(|x, y| (x as f32 - 40.0).hypot(y as f32 - 60.0) <= 20.0);
        let Axis { mean, variances: [along, across], .. } = Axis::of(points.iter().copied());
        assert!((mean[0] - 40.0).abs() < 0.1 && (mean[1] - 60.0).abs() < 0.1, "{mean:?}");
        assert!(across > 0.95 * along, "{along}, {across}");
    }
}
