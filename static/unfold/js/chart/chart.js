// In the place of Unfold's copy of Chart.js (70 KB compressed), which it loads on every page: no page here has a chart.
// To draw one, delete this file; Unfold's own is then found again.
