"""Random modules aimed at what a one-pass compiler gets wrong: locals beyond the registers, deep operand stacks, joins with values,
fused compares and addresses, vectors, calls with many arguments, edge values of every operator. Always valid, always ends.

What must not differ between engines is kept from differing here: the bits of NaNs. An operand is *settled* when its bits follow
from the specification; unsettled ones are made so before their bits can be seen (stored, reinterpreted, copied as a sign).
"""

from module import Module


def module(rng):
    m = Module(rng)
    m.host()
    m.fill()
    return m.emit()


def pair(rng):
    """Two modules: the second one works with the memories, tables, globals and functions of the first."""
    first, second = Module(rng), Module(rng)
    first.fill()
    second.share(first)
    second.fill()
    return first.emit(), second.emit()
