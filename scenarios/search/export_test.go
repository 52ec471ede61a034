package search

// SignatureOf is signatureOf.
var SignatureOf = signatureOf
