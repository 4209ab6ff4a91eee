// The grid of an elastic deformation: CELLS by CELLS cells over an image, and a displacement at each of the points around them. A
// spline needs one point before each cell, and two behind it.

const CELLS = 4u;
const POINTS = CELLS + 3u;

override most_elastic: i32;  // with 8 fractional bits; 0 for none
