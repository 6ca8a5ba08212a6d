"""Reads damaged images, records, graphs, flagfiles and the like, in a process.

    python -m tests.reliability.fuzz_inputs KIND,KIND... SEED COUNT

prints what `tests.reliability.fuzzing.run` returns of each, as JSON. A crash of the
interpreter, an exception that is not documented, a file that takes too long, or too
much memory, ends it with another exit status; the file that did it stays in the
directory of its kind.
"""

from tests.reliability import (
    kinds_of_annotations,
    kinds_of_graphs,
    kinds_of_images,
    kinds_of_records,
    kinds_of_texts,
)
from tests.reliability.fuzzing import main

KINDS = {
    **kinds_of_images.KINDS,
    **kinds_of_records.KINDS,
    **kinds_of_graphs.KINDS,
    **kinds_of_texts.KINDS,
    **kinds_of_annotations.KINDS,
}

if __name__ == "__main__":
    main(KINDS)
