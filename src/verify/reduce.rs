//! The smallest sizes at which a kernel still fails.
//!
//! Each size in turn becomes as small as it can with the others as they are, until none can become smaller. Between a
//! size that is right and one that fails, the search halves the distance: "delta debugging" (Zeller and Hildebrandt
//! 2002), for numbers.

use super::{Failure, Repeats};
use crate::gpu::Gpu;
use crate::op::Sizes;

/// The failure of the same kernel at the smallest sizes that are found. Where the op cannot be made at other sizes, it
/// is the failure itself.
pub async fn reduce(gpu: &Gpu, failure: Failure, repeats: Repeats) -> Failure {
    let case = failure.case.clone();
    let kernel = failure.variant.shader.name;
    let sizes = Sizes::of(&case.sizes());
    let fails = async |sizes: &Sizes| {
        let smaller = case.with_sizes(sizes)?;
        // A kernel may be made for some sizes only.
        let variant = smaller.variants().into_iter().find(|variant| variant.shader.name == kernel)?;
        Failure::of(gpu, &smaller, &variant, repeats).await
    };
    smallest(sizes, fails).await.unwrap_or(failure)
}

/// The last failure on the way to the smallest sizes; none if none smaller than these fails.
async fn smallest<F>(mut sizes: Sizes, fails: impl AsyncFn(&Sizes) -> Option<F>) -> Option<F> {
    let mut found = None;
    loop {
        let before = sizes.clone();
        let names: Vec<String> = sizes.names().map(str::to_owned).collect();
        for name in names {
            let Some(mut high) = sizes.size(&name) else { continue };
            // A size of some ops may be 0, and of others must be even.
            let first = (0..=2).filter(|&size| size < high);
            let mut low = 0;
            let mut rest = first.collect::<Vec<_>>().into_iter();
            while let Some(size) = rest.next().or_else(|| (low + 1 < high).then(|| usize::midpoint(low, high))) {
                let smaller = sizes.with(&name, size);
                if let Some(failure) = fails(&smaller).await {
                    (found, sizes, high) = (Some(failure), smaller, size);
                    rest = vec![].into_iter();
                } else {
                    low = size;
                }
            }
        }
        if sizes == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size by its name.
    type SizeOf<'a> = &'a dyn Fn(&str) -> usize;

    /// The smallest of these sizes by which a kernel fails that fails where `is_wrong`.
    fn reduced(sizes: &str, is_wrong: fn(SizeOf<'_>) -> bool) -> Option<Sizes> {
        let fails = async |sizes: &Sizes| {
            let size = |name: &str| sizes.size_or_zero(name).unwrap_or(0);
            is_wrong(&size).then(|| sizes.clone())
        };
        pollster::block_on(smallest(sizes.parse().unwrap(), fails))
    }

    #[test]
    fn each_size_becomes_the_smallest_that_fails() {
        let found = reduced("rows=1000,columns=70,slope=0.5", |size| size("rows") > 65 && size("columns") >= 3);
        assert_eq!(found, "rows=66,columns=3,slope=0.5".parse().ok());
    }

    #[test]
    fn sizes_that_depend_on_each_other_are_tried_again() {
        // The map must be as large as the kernel, and the kernel comes last.
        let found = reduced("width=28,padding=4,kernel=5", |size| {
            size("width") >= size("kernel") && size("kernel") > size("padding")
        });
        assert_eq!(found, "width=1,padding=0,kernel=1".parse().ok());
    }

    #[test]
    fn even_sizes_stay_even() {
        let found = reduced("channels=10", |size| size("channels") > 0 && size("channels").is_multiple_of(2));
        assert_eq!(found, "channels=2".parse().ok());
    }

    #[test]
    fn what_fails_at_no_smaller_sizes_is_not_reduced() {
        assert_eq!(reduced("rows=7", |size| size("rows") == 7), None);
        assert_eq!(reduced("rows=1,slope=0.1", |_| false), None);
    }
}
