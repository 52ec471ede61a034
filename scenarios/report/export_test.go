package report

// WritePage writes the page of some data.
var WritePage = writePage
