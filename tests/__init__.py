"""The tests of smsgw; the folders mirror the package."""

import os

import hypothesis

# A shared machine is slow at times, which is no fault of the code; SMSGW_HYPOTHESIS=ci repeats the same examples.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("SMSGW_HYPOTHESIS", "here"))
