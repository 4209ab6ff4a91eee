// Sums of which several invocations of a workgroup have parts each.
// Needs from the kernel: Part, the type of such a part.

var<workgroup> partial: array<Part, workgroup_size>;

/// The sum of the parts of all invocations with the same `local % places`, added in pairs; for the first of them. The sums of
/// all places remain in `partial`.
fn total(local: u32, own: Part, places: u32) -> Part {
    partial[local] = own;
    workgroupBarrier();
    for (var left = workgroup_size / places; left >= 2u; left = (left + 1u) / 2u) {
        let other = local + (left + 1u) / 2u * places;
        if other < left * places { partial[local] += partial[other]; }
        workgroupBarrier();
    }
    return partial[local];
}
