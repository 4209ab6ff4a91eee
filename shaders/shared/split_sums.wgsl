// Sums of which invocations of a workgroup have parts. A kernel says by `Part` what such a part is.

var<workgroup> partial: array<Part, workgroup_size>;

/// The sum of what the invocations with this place among `places` have, added in pairs; for the first of them.
fn total(local: u32, own: Part, places: u32) -> Part {
    partial[local] = own;
    workgroupBarrier();
    for (var half = workgroup_size / 2u; half >= places; half /= 2u) {
        if local < half { partial[local] += partial[local + half]; }
        workgroupBarrier();
    }
    return partial[local];
}
