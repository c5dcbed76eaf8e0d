# SPDX-License-Identifier: Apache-2.0
"""Reference values of files that are in a tree, under the names that they have in the guest."""
from lab import run


def measure_in(tree, assay, to, *paths):
    """What `assay measure` says of paths where tree is the root."""
    run(assay, "measure", "--root", tree, "--output", to, *paths)
