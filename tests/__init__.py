"""The tests of smsgw; the folders mirror the package."""
