# SPDX-License-Identifier: Apache-2.0
"""Reference values of files that are in a tree, under the names that they have in the guest."""
import os
import shutil

from image import libraries, tool
from lab import run


def measure_in(tree, assay, to, *paths):
    """What `assay measure` says of paths where tree is the root; the tree stays as it was."""
    own = os.path.join(tree, ".measure")
    os.makedirs(own)
    try:
        loader = None
        for library in libraries(assay):
            shutil.copy(os.path.realpath(library), os.path.join(own, os.path.basename(library)))
            if os.path.basename(library).startswith("ld-linux"):
                loader = os.path.basename(library)
        shutil.copy(assay, os.path.join(own, "assay"))
        manifest = run(tool("chroot"), tree, f"/.measure/{loader}", "--library-path", "/.measure",
                       "/.measure/assay", "measure", *paths).stdout
    finally:
        shutil.rmtree(own)
    with open(to, "w", encoding="utf-8") as f:
        f.write(manifest)
