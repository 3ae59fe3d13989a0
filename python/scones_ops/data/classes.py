"""The names of CIFAR-100's 100 classes in the order of their numbers, and which of them a run asked for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from scones_ops.errors import SettingsInvalid

# https://www.cs.toronto.edu/~kriz/cifar.html; the archive's own `meta` has the last word (see batches.py).
_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
worm
"""
OFFICIAL = tuple(_NAMES.split())


def numbers_of(classes: Sequence[str], known: Sequence[str]) -> tuple[int, ...]:
    """Return the number of each of `classes` in `known`, in the order asked for.

    Raises SettingsInvalid for a name that is not in `known`, with close names and the whole list.
    """
    for name in classes:
        if name not in known:
            close = difflib.get_close_matches(name.lower().replace(" ", "_"), known, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise SettingsInvalid(
                f"CLASSES names {name!r}, which the archive does not have: {hint}"
                f"It has {', '.join(sorted(known))}"
            )
    return tuple(known.index(name) for name in classes)
